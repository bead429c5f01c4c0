# shellcheck shell=bash
# A minimal Debian with another major version of PostgreSQL. mmdebstrap makes it from nothing, and it
# is kept for the next time. KanthorQ's tests run in it as on a machine of that version. Source this
# file after lib.sh.
#
# It takes root, because a chroot does. With the right to mount, what runs in it has mounts and
# processes of its own (namespaces), which end with it, whatever ends it. A container without that
# right does without both.

CHROOT=                                            # where the Debian is, once there is one
CHROOTS=${KANTHORQ_CHROOTS:-/var/cache/kanthorq}   # where they are kept
CHROOT_LOCK=                                       # held while it is used

# debian_of major: sets RELEASE to the release of Debian that has this version of PostgreSQL, and
# OLDER to the versions that a database is upgraded from, each with its release. If PostgreSQL itself
# is in another release, on top of that one, ON_TOP is its name. If there is no pgTAP for this
# version, PGTAP is the version whose pgTAP serves; it is nothing but SQL.
debian_of() {
  ON_TOP='' PGTAP=$1
  case $1 in
    17) RELEASE=trixie OLDER=(15:bookworm) ;;
    18) RELEASE=forky OLDER=(15:bookworm 17:trixie) ;;
    19) RELEASE=sid OLDER=(15:bookworm 17:trixie 18:sid) ON_TOP=experimental PGTAP=18 ;;
    *) die "--server takes 17, 18 or 19, not \"$1\"; 15 is what the tests run with on Debian 12" ;;
  esac
}

# Prints where this machine gets its own release from.
mirror() {
  local codename uri release
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  # shellcheck disable=SC2016 # apt's variables
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    while read -r uri release; do
      if [ "$release" = "$codename" ]; then echo "$uri" && return; fi
    done
}

# use_chroot major: sets CHROOT, and makes it if there is none that has all it needs.
use_chroot() {
  local major=$1 wanted
  [ "$(id -u)" = 0 ] || die "--server makes a Debian of its own, which takes root"
  debian_of "$major"
  # What is in it, and when: testing and what is newer move on.
  wanted="$RELEASE $ON_TOP ${OLDER[*]} $(date +%Y-%m) $(cksum <"${BASH_SOURCE[0]}")"
  CHROOT=$CHROOTS/postgresql-$major
  install -d -m 755 "$CHROOTS" || die "could not make $CHROOTS; set KANTHORQ_CHROOTS"
  exec {CHROOT_LOCK}>"$CHROOT.lock"
  flock --shared "$CHROOT_LOCK"
  if [ "$(cat "$CHROOT/made" 2>/dev/null)" = "$wanted" ]; then return; fi
  flock "$CHROOT_LOCK"
  if [ "$(cat "$CHROOT/made" 2>/dev/null)" != "$wanted" ]; then
    need_packages mmdebstrap
    make_chroot "$major"
    echo "$wanted" >"$CHROOT/made"
  fi
  flock --shared "$CHROOT_LOCK"
}

make_chroot() {
  local major=$1 from log=$CHROOT.log packages download older release setting sources=() options=()
  from=$(mirror)
  [ -n "$from" ] || die "found no source of this machine's own release in apt's sources"
  packages=("postgresql-$major" g++ make mount perl libpq-dev libfaketime libipc-run-perl
    pgbouncer python3-hypothesis python3-psycopg)
  # The headers' packages would bring a whole clang along, for bitcode that KanthorQ doesn't make.
  download=("postgresql-server-dev-$major" "postgresql-$PGTAP-pgtap")
  sources=("deb $from $RELEASE main")
  for older in "${OLDER[@]}"; do
    packages+=("postgresql-${older%:*}")
    download+=("postgresql-server-dev-${older%:*}")
    release=${older#*:}
    if [ "$release" != "$RELEASE" ]; then sources+=("deb $from $release main"); fi
  done
  if [ -n "$ON_TOP" ]; then
    sources+=("deb $from $ON_TOP main")
    # PostgreSQL comes from there, and nothing else.
    options+=(--setup-hook="printf '%s\n' 'Package: src:postgresql-$major' 'Pin: release a=$ON_TOP' \
      'Pin-Priority: 900' >\"\$1/etc/apt/preferences.d/postgresql\"")
  fi
  # The release file of testing may have expired on a mirror that stands still.
  for setting in 'Acquire::Check-Valid-Until "false"' 'Acquire::Languages "none"' \
    'APT::Install-Recommends "false"'; do
    options+=("--aptopt=$setting")
  done

  echo "making a Debian $RELEASE with PostgreSQL $major in $CHROOT, which takes a minute or two"
  clean_up_at_exit
  rm -rf --one-file-system "$CHROOT"
  # The hooks: no cluster when a server is installed; nothing of systemd, which wants a mounted
  # /proc; and the headers and pgTAP, whatever their packages depend on. A pgTAP of another version
  # becomes a package of this one.
  # shellcheck disable=SC2016 # mmdebstrap's argument
  run_job mmdebstrap --variant=apt --mode=root "${options[@]}" --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --include="$(IFS=, && echo "${packages[*]}")" \
    --essential-hook='cd "$1" && mkdir -p etc/postgresql-common/createcluster.d &&
      echo "create_main_cluster = false" >etc/postgresql-common/createcluster.d/kanthorq.conf' \
    --essential-hook='chroot "$1" dpkg-divert --local --rename --add /usr/bin/systemd-tmpfiles &&
      ln -s true "$1/usr/bin/systemd-tmpfiles"' \
    --customize-hook="chroot \"\$1\" sh -c 'cd /root && apt-get -q download ${download[*]} &&
      if [ $PGTAP != $major ]; then
        dpkg-deb --raw-extract ./postgresql-$PGTAP-pgtap_*.deb pgtap && rm ./postgresql-$PGTAP-pgtap_*.deb &&
          mv pgtap/usr/share/postgresql/$PGTAP pgtap/usr/share/postgresql/$major &&
          sed -i s/postgresql-$PGTAP/postgresql-$major/ pgtap/DEBIAN/control && dpkg-deb --build pgtap . && rm -r pgtap
      fi && dpkg --force-depends --install ./*.deb && rm ./*.deb'" \
    "$RELEASE" "$CHROOT" "${sources[@]}" >"$log" 2>&1 </dev/null || {
    tail -n 30 "$log" >&2
    die "could not make a Debian $RELEASE with PostgreSQL $major; all of the log is in $log"
  }
}

# in_chroot command...: runs it there as root, with an environment of its own.
in_chroot() {
  local environment name
  environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    LC_ALL=C.UTF-8 "TERM=${TERM:-dumb}")
  for name in "${!KANTHORQ_@}"; do environment+=("$name=${!name}"); done
  if unshare --mount --pid --ipc --fork true 2>/dev/null; then
    # shellcheck disable=SC2016 # the inner shell's arguments
    run_job unshare --mount --pid --ipc --fork --kill-child bash -c '
      mount --rbind "$0" "$0" && mount --rbind /dev "$0/dev" && mount -t tmpfs -o mode=1777 kanthorq "$0/dev/shm" &&
        mount -t proc proc "$0/proc" || exit
      exec chroot "$0" env -i "$@"' "$CHROOT" "${environment[@]}" "$@"
  else
    echo "${0##*/}: no right to mount anything: doing without /proc, and with files in /dev/shm" >&2
    run_job chroot "$CHROOT" env -i "${environment[@]}" "$@"
  fi
}
