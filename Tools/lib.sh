# shellcheck shell=bash
# Sourced by the tools beside it: goes to the repository's root and defines what they share.

script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# Prints the comment at the head of the running script.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$script"; }

# A line on standard error that stands out.
say() { printf '== %s\n' "$*" >&2; }

# Ends the script with one sentence and exit status $1.
die() {
  printf 'error: %s\n' "${*:2}" >&2
  exit "$1"
}

# Sets clang: CLANG, the one in PATH, or the one that comes with Swift.
find_clang() {
  clang=${CLANG:-$(command -v clang || true)}
  if [[ -z $clang ]] && command -v swift >/dev/null; then
    clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
  fi
  command -v "$clang" >/dev/null || die 69 "found no clang, which comes with Swift; or name it in CLANG"
}

# Prints a Python that has PyTorch: CAROUSEL_PYTHON, or one of an environment under .build/benchmark,
# made where it is missing.
find_torch() {
  local torch=2.13.0 python=${CAROUSEL_PYTHON-}
  if [[ -z $python ]]; then
    python=$PWD/.build/benchmark/bin/python
    if ! "$python" -c 'import torch' 2>/dev/null; then
      say "installing PyTorch $torch"
      python3 -c 'import ensurepip, venv' 2>/dev/null || Tools/install python3-venv >&2 || exit 1
      python3 -m venv .build/benchmark
      # The build for CPUs is smaller, where pip is set up to find it.
      "$python" -m pip install --quiet "torch==$torch+cpu" numpy 2>/dev/null ||
        "$python" -m pip install --quiet "torch==$torch" numpy >&2
    fi
  fi
  printf '%s\n' "$python"
}

# The same with ONNX Runtime too, but for a Python that CAROUSEL_PYTHON names.
find_peers() {
  local python
  python=$(find_torch)
  if [[ -z ${CAROUSEL_PYTHON-} ]] && ! "$python" -c 'import onnx, onnxruntime' 2>/dev/null; then
    say "installing ONNX Runtime"
    "$python" -m pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 >&2
  fi
  printf '%s\n' "$python"
}

# Handles the options that every tool has.
case "${1-}" in
-h | --help)
  usage
  exit
  ;;
esac
