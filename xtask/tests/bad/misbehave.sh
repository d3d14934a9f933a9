#!/bin/sh
# Programs that are bad on purpose, each in one way: what the runner must survive.
leave="echo left; exec sleep 1000 >/dev/null 2>&1"
case $1 in
    never-ready) exec sleep 1000 ;;
    dies-early) echo 'cannot go on' >&2; exit 3 ;;
    dies-by-signal) kill -SEGV $$ ;;
    floods) exec yes ;;
    numbers) seq -s ' ' 40000 139999 ;;
    # One line of 100 MB.
    long-line) head -c 100000000 /dev/zero | tr '\0' x ;;
    not-utf8) printf 'a\377b\033[2J\001\n' ;;
    no-newline) printf 'half a line' ;;
    ignores-sigterm) trap '' TERM INT; exec sleep 1000 ;;
    leaves-grandchild) sleep 1000 >/dev/null 2>&1 & echo left ;;
    leaves-session) setsid sleep 1000 >/dev/null 2>&1 & echo left ;;
    # A grandchild that holds the pipe open: the end of the output never comes.
    holds-pipe) setsid sleep 1000 & echo left ;;
    # What tells a run's processes from others is taken away.
    # The word comes from what has left already: before that it would be killed with its group.
    leaves-clean) echo "$(env -i setsid sh -c "$leave" &)" ;;
    leaves-network) echo "$(unshare -n setsid sh -c "$leave" &)" ;;
    # The same, but for the process group.
    clean-in-group) echo "$(env -i sh -c "$leave" &)" ;;
    network-in-group) echo "$(unshare -n sh -c "$leave" &)" ;;
    spins) while :; do :; done ;;
    *) echo "misbehave: $1?" >&2; exit 2 ;;
esac
