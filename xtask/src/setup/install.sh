# Installs the named Debian packages without starting any service that they bring.
#
# The tests start their own servers on free ports. A service that a package starts by itself would
# hold a well-known port (Redis: 6379) and could be mistaken for one of ours.
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
# A package list that is partly out of reach may still hold what we need: install decides.
apt-get update -q || echo "apt-get update failed; trying with the lists that are here" >&2
# What is there already stays at its version: setting up tests is no reason to upgrade a machine.
apt-get install -q -y --no-install-recommends --no-upgrade "$@"
for package in "$@"; do
    # Not started now (above), and not at the next boot either.
    if [ "$package" = redis-server ] && command -v systemctl >/dev/null; then
        systemctl disable --now redis-server >/dev/null 2>&1 || true
    fi
done
