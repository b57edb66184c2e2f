# The workflow and all that it runs on, without a GPU: docs/container.md
FROM python:3.12.11-slim-bookworm

WORKDIR /opt/scoredag

# in a layer of its own, which an edit of the code does not build again; PyTorch first, without CUDA
COPY envs/requirements.txt envs/
RUN pip install --no-cache-dir "$(grep '^torch==' envs/requirements.txt)" --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir --requirement envs/requirements.txt

COPY . .
RUN pip install --no-cache-dir --no-deps --editable . \
    && install --directory --mode 1777 /work

# by any user (--user), whom the image need not know; compiled kernels stay with what is mounted at /work
ENV HOME=/tmp USER=scoredag NUMBA_CACHE_DIR=/work/.snakemake/numba
USER 1000:1000
WORKDIR /work

ENTRYPOINT ["snakemake", "--snakefile", "/opt/scoredag/Snakefile"]
CMD ["--cores", "all"]
