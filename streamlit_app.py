"""The web page: streamlit run streamlit_app.py [-- --onnx_model_path MODEL]."""

from src.page.app import main

main()
