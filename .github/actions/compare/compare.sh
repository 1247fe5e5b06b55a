#!/usr/bin/env bash
# Run `mnist-cli compare $ARGUMENTS` on $DATASET, write its files to the folder $REPORT and its table
# and gates to the summary of the job, and exit as it does: 3 if a gate is not met.
set -euo pipefail
# shellcheck disable=SC2153 # the one is the input, the other its words
words=$(xargs -n1 printf '%s\n' <<<"$ARGUMENTS") # quotes as in a shell, but nothing is run
arguments=()
while IFS= read -r word; do arguments+=("$word"); done <<<"$words" # no mapfile on macOS
mkdir -p "$REPORT"

code=0
{
    mnist-cli compare ${words:+"${arguments[@]}"} --dataset "$DATASET" \
        --report "$REPORT/report.html" --export-json "$REPORT/comparison.json" \
        --export-markdown "$REPORT/table.md" 2>&1 >&3 | tee "$REPORT/messages.txt" >&2
} 3>&1 || code=$?

{
    if [[ -f $REPORT/table.md ]]; then cat "$REPORT/table.md"; else echo "No network was compared."; fi
    echo
    sed -nE 's/^(gate |error: )/- &/p' "$REPORT/messages.txt"
} >>"$GITHUB_STEP_SUMMARY"
exit "$code"
