# A network of its own, with one link, and nobody at its other end:
# unshare --map-root-user --net sh host-off.sh PROGRAM [ARGUMENT]...
set -e
ip link add here type veth peer name there
ip address add 10.0.0.1/24 dev here
ip link set here up
ip link set there up
ip link set lo up
exec "$@"
