# CPU by default; for a GPU: docker build --build-arg TORCH_BACKEND=cu130 .
FROM python:3.12-slim
ARG TORCH_BACKEND=cpu

# libseccomp shuts candidates' code in; g++ compiles the small model for the machine that it runs on.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ libseccomp2 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 user && pip install --no-cache-dir uv==0.13.9
USER user
ENV HOME=/home/user \
    VIRTUAL_ENV=/home/user/venv \
    PATH=/home/user/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SERVE_HOST=0.0.0.0 \
    SERVE_PORT=7860 \
    DATA_DIR=/home/user/data \
    HF_HOME=/home/user/.cache/huggingface \
    MPLCONFIGDIR=/tmp/mpl
WORKDIR /home/user/app

# torch first and by itself, so that a change of the app leaves this layer alone.
COPY --chown=user pyproject.toml README.md LICENSE ./
RUN uv venv --no-cache "$VIRTUAL_ENV" && uv pip install --no-cache --torch-backend="$TORCH_BACKEND" \
    "$(grep -o 'torch==[0-9.]*' pyproject.toml)"
COPY --chown=user content content
COPY --chown=user sandbox sandbox
COPY --chown=user webapp webapp
COPY --chown=user migrations migrations
RUN uv pip install --no-cache '.[postgres]' && mkdir -p /home/user/data

# Started outside the source folder, so that nothing of it lies in the working directory.
WORKDIR /home/user
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
CMD ["vivalab", "serve"]
