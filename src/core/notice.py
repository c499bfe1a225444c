"""What this software says of itself wherever it says anything of a lesion."""

NOTICE = "For research and education. Not a medical device; its output is not a diagnosis."
