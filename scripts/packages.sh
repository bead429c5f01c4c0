# shellcheck shell=bash
# How lib.sh, which sources this file, installs the Debian packages that are missing.

CLUSTER_DROPIN=       # the temporary file that keeps the server package from creating a cluster
CLUSTER_DROPIN_DIR=   # its directory, if that is temporary too

is_installed() {
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Runs the command as root: directly, or through sudo, which asks for a password only if somebody
# can type one.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

# apt_install package...: shows what apt says only if it fails.
apt_install() {
  local output
  output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" 2>&1 </dev/null) ||
    die "could not install $*"$'\n'"$output"
}

# Installs those of the named packages that are missing; with none missing it needs no rights at
# all.
need_packages() {
  local package missing=()
  command -v dpkg-query >/dev/null ||
    die "this is for Debian and its relatives: there is no dpkg-query here"
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    die "these packages are missing, and installing them takes root or sudo: ${missing[*]}"
  fi
  as_root true || die "these packages are missing, and sudo refuses to install them: ${missing[*]}"
  echo "installing, which may take minutes: ${missing[*]}"
  clean_up_at_exit
  # A source that is out of reach matters only if one of these packages comes from there.
  as_root apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null ||
    echo "${0##*/}: apt-get update failed; trying with the package lists that are here" >&2
  if ! is_installed "postgresql-$PG_MAJOR"; then prevent_cluster; fi
  apt_install "${missing[@]}"
  remove_dropin
}

# The server package creates and starts a cluster of its own when it is first installed. Nobody
# asked for one here, so postgresql-common comes first and is told not to.
prevent_cluster() {
  local directory=/etc/postgresql-common/createcluster.d
  apt_install postgresql-common
  [ -d "$directory" ] || CLUSTER_DROPIN_DIR=$directory
  as_root mkdir -p "$directory"
  CLUSTER_DROPIN=$directory/zz-kanthorq-$$.conf
  echo "create_main_cluster = false" | as_root tee "$CLUSTER_DROPIN" >/dev/null
}

remove_dropin() {
  [ -n "$CLUSTER_DROPIN" ] || return 0
  as_root rm -f "$CLUSTER_DROPIN"
  CLUSTER_DROPIN=
  [ -z "$CLUSTER_DROPIN_DIR" ] || as_root rmdir --ignore-fail-on-non-empty "$CLUSTER_DROPIN_DIR"
}
