#!/bin/sh
# Appends one line to the report file of the task that it runs in.

usage() {
    cat <<'TEXT'
Tells the worker how the task gets on: votum show, list, watch and run display it.

Usage: votum-report progress DONE/TOTAL [UNIT [MESSAGE...]]
       votum-report progress SHARE [MESSAGE...]      0 to 1, or 0% to 100%
       votum-report heartbeat                        the task lives, nothing else
       votum-report warning TEXT...                  people should see this
       votum-report checkpoint                       seal $VOTUM_CHECKPOINT_DIR, wait for it
       votum-report --help

Any of them counts for the task's progress_timeout. Each appends one line to the
file $VOTUM_REPORT, which a program may also do by itself:

    echo "progress 120/400 rows" >> "$VOTUM_REPORT"

Exit codes: 0 the line is written, or the checkpoint is sealed durably; 1 it is
not; 2 wrong usage.
TEXT
}

refuse() {
    printf 'votum-report: %s\n' "$1" >&2
    printf 'votum-report: see votum-report --help\n' >&2
    exit 2
}

is_number() {
    case $1 in
        '' | *[!0-9]*) return 1 ;;
    esac
}

is_decimal() {
    case $1 in
        *.*) is_number "${1%%.*}" && is_number "${1#*.}" ;;
        *) is_number "$1" ;;
    esac
}

is_amount() {
    case $1 in
        */*) is_number "${1%%/*}" && is_number "${1#*/}" ;;
        *%) is_decimal "${1%\%}" ;;
        *) is_decimal "$1" ;;
    esac
}

# Writes its arguments as one line, whatever they contain.
append() {
    rest="$*"
    text=
    newline='
'
    while :; do
        case $rest in
            *"$newline"*)
                text="$text${rest%%"$newline"*} "
                rest=${rest#*"$newline"}
                ;;
            *) break ;;
        esac
    done
    if [ -z "${VOTUM_REPORT-}" ]; then
        echo 'votum-report: VOTUM_REPORT is not set: this is no task of Votum' >&2
        exit 1
    fi
    { printf '%s\n' "$text$rest" >> "$VOTUM_REPORT"; } 2> /dev/null || {
        printf 'votum-report: cannot write to %s\n' "$VOTUM_REPORT" >&2
        exit 1
    }
}

# Waits until the worker has sealed what lies in the checkpoint directory, or says why not.
checkpoint() {
    ask="${VOTUM_CHECKPOINT_ASKS-}/report-$$"
    if [ -z "${VOTUM_CHECKPOINT_ASKS-}" ]; then
        echo 'votum-report: VOTUM_CHECKPOINT_ASKS is not set: this is no task of Votum' >&2
        exit 1
    fi
    # A process of the same number may have been cut off here.
    rm -f "$ask" "$ask.answer" 2> /dev/null
    { echo checkpoint > "$ask.new" && mv "$ask.new" "$ask"; } 2> /dev/null || {
        printf 'votum-report: cannot write to %s\n' "$VOTUM_CHECKPOINT_ASKS" >&2
        exit 1
    }
    while [ ! -e "$ask.answer" ]; do
        sleep 0.05 2> /dev/null || sleep 1
    done
    read -r word rest < "$ask.answer"
    rm -f "$ask" "$ask.answer"
    if [ "$word" != sealed ]; then
        printf 'votum-report: no checkpoint: %s\n' "$rest" >&2
        exit 1
    fi
}

IFS=' '
[ $# -gt 0 ] || refuse 'say what to report'
case $1 in
    -h | --help)
        usage
        ;;
    progress)
        [ $# -gt 1 ] || refuse 'progress of how much?'
        is_amount "$2" || refuse "progress is a count such as 120/400, 0 to 1, or 0% to 100%, not $2"
        append "$@"
        ;;
    heartbeat)
        [ $# -eq 1 ] || refuse 'heartbeat takes nothing more'
        append "$@"
        ;;
    warning)
        [ $# -gt 1 ] && [ -n "$2" ] || refuse 'warning of what?'
        append "$@"
        ;;
    checkpoint)
        [ $# -eq 1 ] || refuse 'checkpoint takes nothing more'
        checkpoint
        ;;
    *)
        refuse "$1 is none of progress, heartbeat, warning, checkpoint"
        ;;
esac
