# mjxwm on an NVIDIA GPU (driver R580 or newer, NVIDIA Container Toolkit):
#
#   docker build -t mjxwm .
#   docker run --rm --gpus all -v "$PWD:/work" mjxwm train pwm-ant
#
# CUDA comes with JAX's packages, so that the base has Python alone; the driver is the host's.
# Python 3.11 is the version that all tests run on. Without a GPU the same image computes on the CPU.

FROM python:3.11.14-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY envs envs
COPY mjxwm mjxwm
COPY pretrained pretrained
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11.14-slim-bookworm
# EGL, with which MuJoCo renders without a display.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libegl1 libgl1 \
    && rm -rf /var/lib/apt/lists/*
# Extras, for a smaller image: --build-arg EXTRAS=cuda
ARG EXTRAS=cuda,viewer,suites,baselines,onnx
COPY --from=wheel /wheels /wheels
# Versions are bounded in pyproject.toml.
# hadolint ignore=DL3013
RUN wheel="$(find /wheels -name '*.whl')" \
    && pip install --no-cache-dir "${wheel}[${EXTRAS}]" \
    && rm -rf /wheels

# Compiled programs are kept in /cache, which any user may write: a volume keeps them between starts.
RUN useradd --uid 1000 --create-home mjxwm \
    && install --directory --mode 1777 /cache \
    && install --directory --owner mjxwm /work
ENV XDG_CACHE_HOME=/cache \
    MUJOCO_GL=egl \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics \
    PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
EXPOSE 8080

# Status 1 if something that is needed is broken. It takes little of the memory of a GPU that trains.
HEALTHCHECK --interval=1h --timeout=5m --start-period=5m --retries=2 \
    CMD ["env", "XLA_PYTHON_CLIENT_PREALLOCATE=false", "mjxwm", "doctor"]
ENTRYPOINT ["mjxwm"]
CMD ["doctor"]
