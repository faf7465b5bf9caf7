#!/bin/sh
# Run a command in the background for as long as this user's Ray runs on this machine; what it prints
# goes to ~/NAME.log. A second one of that name waits until the first has ended: after a restart of Ray
# there is one again, and never two. That file is for its owner alone: it may hold a link with a secret.
#
#   sh sweeps/beside_ray.sh NAME COMMAND...
name=$1
shift
umask 077
setsid flock "$HOME/$name.lock" sh -c '
  "$@" &
  # Others may have one of their own, and of ours an older one may be ending.
  raylet=$(pgrep -n -x -u "$(id -u)" raylet) && tail --pid="$raylet" -f /dev/null
  trap "" TERM
  kill 0  # The whole session: the command may have children.
' "$name" "$@" > "$HOME/$name.log" 2>&1 < /dev/null &
