#!/usr/bin/env bash
# Install PyTorch's CPU build, and mnist-cli from the commit that this action is taken from.
set -euo pipefail
python -m pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
python -m pip install "$(realpath "$(dirname "$0")/../../..")"
