"""The page: widgets only. What it says is in `sentences`, what it finds in `answers`."""

import sys

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ..core.classes import NOTICE
from ..core.errors import UserError
from ..core.memory import give_back
from ..core.options import parse_options
from ..preprocess.image import file_bytes
from . import sentences
from .answers import Answer, Model, examine
from .models import examples, load_model
from .options import PageOptions
from .records import ALL
from .table import as_csv
from .upload import MAX_MEGABYTES, TYPES

MAX_ANSWERS = 20  # that a visit keeps; older ones are forgotten
STYLE = """<style>
.block-container {max-width: 60rem; padding: 2.5rem 1rem 4rem}
h1 {font-size: clamp(1.7rem, 5vw, 2.3rem) !important; padding-top: 0 !important}
h2 {font-size: 1.25rem !important; padding-top: 0 !important; overflow-wrap: anywhere}
[data-testid="stProgress"] p {font-size: .875rem}
/* the page stays legible while it is at work */
[data-stale="true"] {opacity: 1 !important}
</style>"""

_model = st.cache_resource(show_spinner="Loading the model")(load_model)


def main() -> None:
    """Show the page to a visitor; streamlit calls it again after everything that they do."""
    st.set_page_config("Skin lesion classifier")
    st.html(STYLE)
    st.title("Skin lesion classifier")
    options = parse_options(sys.argv[1:], __doc__, PageOptions)[0]
    try:
        model = _model(options)
        pictures = examples(options)
    except UserError as error:
        st.error(f"The page has nothing to show: {error}")
        return
    st.info(sentences.ABOUT)
    answers: list[Answer] = st.session_state.setdefault("answers", [])
    _ask(model, pictures, answers)
    for answer in answers:
        _show(answer, model)
    _end(model, answers)
    give_back()  # what the pictures of the run before took


def _ask(model: Model, pictures: dict, answers: list[Answer]) -> None:
    """Take uploads and examples; a taken file is let go of by giving the next upload a new key."""
    turn = st.session_state.setdefault("turn", 0)
    files = st.file_uploader(
        "Pictures of one lesion each", TYPES, accept_multiple_files=True, key=f"upload {turn}",
        help=f"JPEG, PNG, BMP, TIFF or WebP, up to {MAX_MEGABYTES} MB each",
        max_upload_size=MAX_MEGABYTES,
    )  # fmt: skip
    given = [(file.name, file.getvalue) for file in files]
    if pictures:
        choice, button = st.columns([3, 1], vertical_alignment="bottom")
        name = choice.selectbox("Or try an example", list(pictures))
        if button.button("Try it", width="stretch"):
            given.append((name, lambda: file_bytes(pictures[name])))
    if not given:
        return
    with st.spinner("Looking at the picture" if len(given) == 1 else "Looking at the pictures"):
        for name, read in given:
            answers.insert(0, examine(model, name, read()))
    _forget(files)
    del answers[MAX_ANSWERS:]
    st.session_state["turn"] = turn + 1
    st.rerun()


def _forget(files: list) -> None:
    """Take uploads out of Streamlit's store, which keeps them as long as the page is open."""
    running = get_script_run_ctx()
    for file in files:
        running.uploaded_file_mgr.remove_file(running.session_id, file.file_id)


def _show(answer: Answer, model: Model) -> None:
    with st.container(border=True):
        st.header(answer.name, anchor=False)
        if answer.refusal:
            st.error(answer.refusal)
            return
        raised = answer.is_positive or (answer.trust is not None and answer.trust.abstains)
        (st.warning if raised else st.success)(f"**{sentences.headline(answer)}**")
        seen, said = st.columns(2, gap="medium")
        for caption, picture in answer.pictures.items():
            seen.image(picture, caption=caption, width="stretch", alt=f"{answer.name}: {caption}")
        with said:
            _say(answer, model)


def _say(answer: Answer, model: Model) -> None:
    contract = model.predictor.contract
    positive = sentences.in_words(contract.classes[contract.positive])
    if words := sentences.advice(answer):
        st.markdown(words)
    for fault in answer.faults:
        st.warning(f"About the picture: {fault}.")
    st.markdown(sentences.tone_in_words(answer.tone))
    st.markdown(sentences.record_in_words(answer, positive))
    if answer.trust:
        st.markdown(f"Certificate: {answer.trust.certificate}.")
    ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    for name, probability in ranked:
        _bar(sentences.in_words(name), probability)
    if answer.votes:
        st.caption(f"Probability of {positive} by each model")
        for name, probability in answer.votes.items():
            _bar(name, probability)


def _bar(name: str, probability: float) -> None:
    share = sentences.percent(probability).replace(" ", "\N{NO-BREAK SPACE}")
    st.progress(min(1.0, probability), f"{name}: {share}")


def _end(model: Model, answers: list[Answer]) -> None:
    contract = model.predictor.contract
    positive = sentences.in_words(contract.classes[contract.positive])
    if answers:
        save, clear = st.columns(2)
        table = as_csv(answers, contract.classes)
        save.download_button("Save as CSV", table, "answers.csv", "text/csv", width="stretch")
        if clear.button("Delete these pictures", width="stretch"):
            st.session_state["answers"] = []
            st.rerun()
    with st.expander("About this model"):
        classes = ", ".join(map(sentences.in_words, contract.classes))
        st.markdown(f"{', '.join(model.names)} ({contract.model}). Classes: {classes}.")
        if not model.records:
            st.warning(
                "Its performance was not measured, or the file with it is not beside the model."
            )
        for record in sorted(model.records.values(), key=lambda record: record.group != ALL):
            st.markdown(f"- {sentences.record_line(record, positive)}")
    st.caption(NOTICE)
