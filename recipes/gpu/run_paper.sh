#!/bin/bash
# The paper's experiment on a GPU, in stages of ten minutes; the same command goes on where it was stopped.
#
#   recipes/gpu/run_paper.sh OUT --faces CASIA --faces LFW --actions JHMDB --pretrained imagenet --folds all
#
# STAGE=600 is the length of a stage in seconds. STAGES=1 makes one stage and ends, for a GPU that is lent for
# minutes. Exit code: 0 if the run is finished, 3 if stages remain, else that of the error.
set -u
out=${1:?the result folder, then options of anonlib reproduce}; shift
cache=${ANONLIB_CACHE:-$HOME/.cache/anonlib}
progress=("$out/stages" "$out/checkpoints" "$cache")
mkdir -p "${progress[@]}"
for ((stage = 1; stage <= ${STAGES:-1000000}; stage++)); do
    begun=$(mktemp)
    timeout --signal=INT --kill-after=60 "${STAGE:-600}" \
        anonlib reproduce --profile paper --device cuda --out "$out" "$@"
    code=$?
    written=$(find "${progress[@]}" -type f -newer "$begun" -print -quit); rm -f "$begun"
    case $code in
        0) exit 0 ;;
        124 | 137) ;;
        *) exit "$code" ;;
    esac
    if [ -z "$written" ]; then
        echo "error: a stage of ${STAGE:-600} s saved nothing: set a larger STAGE" >&2
        exit 2
    fi
done
exit 3
