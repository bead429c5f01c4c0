# shellcheck shell=bash
# What scripts/test and scripts/demo share: a private copy of PostgreSQL with KanthorQ in it, and
# throw-away servers that run from that copy. Source it from bash under "set -euo pipefail".
#
#   choose_server                the server version to use                          -> PG_MAJOR
#   need_packages name...        installs what is missing, by packages.sh
#   make_work_dir                a directory that is gone when the script ends       -> WORK
#   copy_sources                 the sources, without build products                 -> WORK/src
#   install_privately            builds WORK/src into a private copy of PostgreSQL   -> PG_BIN
#   start_server [setting...]    a throw-away server with its socket in WORK/socket
#   as_user command...           runs the command without root's rights
#   as_tester ...                the same, with what PostgreSQL::Test needs
#   stop_servers                 stops every server that was started below WORK
#
# In that order. The machine's own PostgreSQL, its clusters and the directory that the sources are
# in stay as they are: whatever is built, installed or written is below WORK.

SOURCE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck source=packages.sh
. "$SOURCE_DIR/scripts/packages.sh"

WORK=                 # the work directory, once there is one
PG_BIN=               # where the programs of the private PostgreSQL are, once there is one
KEEP_WORK=no          # yes: the work directory outlives the script
RUN_AS=()             # what comes before a command to run it without root's rights
JOB=                  # the process group of the command that runs now
SERVER_RUNS=no        # yes: as_user tells clients where the server is
MAKE_FLAGS=()         # further arguments of the make that builds the library
PG_CTL_FLAGS=()       # further arguments of the pg_ctl that starts them
PG_CTL_SECONDS=60     # how long starting and stopping one may take

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Sets PG_MAJOR: KANTHORQ_PG_MAJOR if that is set, else the highest of 15 to 19 whose headers are
# installed, else 15, which is what Debian 12 has.
choose_server() {
  local major
  PG_MAJOR=${KANTHORQ_PG_MAJOR:-}
  if [ -n "$PG_MAJOR" ]; then
    [[ $PG_MAJOR =~ ^[0-9]+$ ]] || die "KANTHORQ_PG_MAJOR is \"$PG_MAJOR\", not a number such as 15"
    [ "$PG_MAJOR" -ge 15 ] ||
      die "KANTHORQ_PG_MAJOR is $PG_MAJOR, but KanthorQ needs PostgreSQL 15 or later"
    return
  fi
  PG_MAJOR=15
  for major in 16 17 18 19; do
    if [ -e "/usr/include/postgresql/$major/server/postgres.h" ]; then PG_MAJOR=$major; fi
  done
}

# Sets WORK, a new directory below TMPDIR or /tmp, and RUN_AS. From here on the end of the script,
# whatever brings it about, stops the servers and removes the directory.
make_work_dir() {
  local parent
  umask 022
  if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root. Not runuser: it would stand between us and the command as a
    # second process, and log a session for each one.
    RUN_AS=(setpriv --reuid=postgres --regid=postgres --init-groups --)
  fi
  clean_up_at_exit
  for parent in "${TMPDIR:-/tmp}" /tmp; do
    # PGXS knows no blanks in paths, and the path of a socket ends at 107 bytes.
    [[ $parent =~ ^/[A-Za-z0-9._/-]{0,60}$ ]] || continue
    WORK=$(mktemp -d "${parent%/}/kanthorq.XXXXXX") || continue
    if [ "$(id -u)" = 0 ]; then chown postgres:postgres "$WORK"; fi
    # A directory below one that only root can enter is of no use.
    if as_user mkdir "$WORK"/{home,tmp,log,socket} 2>/dev/null; then return; fi
    rm -rf "$WORK"
    WORK=
  done
  die "could not make a work directory; set TMPDIR to a directory that any user may write to"
}

# Runs the command as the unprivileged user, from the work directory and with nothing of the
# caller's environment: a PGHOST or a locale left in there would change what is tested. Once a
# server runs, clients find it.
as_user() {
  local environment
  environment=(
    "PATH=${PG_BIN:+$PG_BIN:}/usr/local/bin:/usr/bin:/bin" "HOME=$WORK/home" "TMPDIR=$WORK/tmp"
    LC_ALL=C.UTF-8 "TERM=${TERM:-dumb}")
  if [ "$SERVER_RUNS" = yes ]; then
    environment+=("PGHOST=$WORK/socket" PGPORT=5432 PGUSER=postgres)
  fi
  run_job env -C "$WORK" "${RUN_AS[@]}" env -i "${environment[@]}" "$@"
}

# Runs the command in a process group of its own and waits for it, because a signal that arrives
# while bash runs a command in the foreground is not handled before that command has ended.
run_job() {
  local status=0
  set -m
  (exec "$@") <&0 &
  JOB=$!
  set +m
  wait "$JOB" || status=$?
  JOB=
  return "$status"
}

# Runs the command as as_user does, and shows what it wrote only if it fails.
quietly() {
  local log=$WORK/log/$1.log
  shift
  as_user "$@" >"$log" 2>&1 </dev/null && return
  cat "$log" >&2
  return 1
}

# Copies the sources to WORK/src: what git tracks or would track, else everything but build
# products. The copying is done with the caller's rights, as the sources may be where nobody else
# can read.
copy_sources() {
  mkdir "$WORK/src"
  (
    cd "$SOURCE_DIR" || exit
    # The settings let root read a clone that belongs to somebody else, and run none of its hooks.
    git=(git -c safe.directory='*' -c core.fsmonitor=false)
    if prefix=$("${git[@]}" rev-parse --show-prefix 2>/dev/null) && [ -z "$prefix" ]; then
      "${git[@]}" ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do
          # A file that was deleted but is still tracked.
          if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\0' "$file"; fi
        done
    else
      find . \( -name .git -o -name '*.o' -o -name '*.so' -o -name '*.bc' -o -path ./results \
        -o -path ./output_iso -o -path ./build -o -path './tmp_check*' \) -prune \
        -o ! -type d -print0
    fi | tar --create --null --no-recursion --verbatim-files-from --files-from=- |
      tar --extract --no-same-owner --directory="$WORK/src"
  ) || return 1
  if [ ${#RUN_AS[@]} != 0 ]; then chown -R postgres:postgres "$WORK/src"; fi
}

# Builds WORK/src and installs it into a private copy of PostgreSQL in WORK/root; sets PG_BIN, the
# copy's directory of programs.
install_privately() {
  install_copy "$PG_MAJOR" "$WORK/src" "$WORK/root" || return 1
  PG_BIN=$WORK/root/usr/lib/postgresql/$PG_MAJOR/bin
}

# install_copy major source root. PostgreSQL finds its files relative to its programs, so the
# programs are copied and everything else may be links.
install_copy() {
  local major=$1 root=$3
  local original=/usr/lib/postgresql/$major share=/usr/share/postgresql/$major
  local make=(make --no-print-directory -C "$2" "PG_CONFIG=$original/bin/pg_config"
    "${MAKE_FLAGS[@]}")
  echo "building KanthorQ for PostgreSQL $major"
  quietly build "${make[@]}" "-j$(nproc)" all || return 1

  # What the machine's own PostgreSQL has of KanthorQ stays out of it.
  mkdir -p "$root$original/lib" "$root$share/extension" &&
    cp -a "$original/bin" "$root$original/" &&
    link_all "$original/lib" "$root" ! -name 'kanthorq*' &&
    link_all "$share" "$root" ! -name extension &&
    link_all "$share/extension" "$root" ! -name 'kanthorq*' || return 1
  if [ "$(id -u)" = 0 ]; then chown -hR postgres:postgres "$root"; fi
  quietly install "${make[@]}" "DESTDIR=$root" install
}

# start_through command...: start_server runs the server's program as the command's last argument.
start_through() {
  local program=$WORK/root/usr/lib/postgresql/$PG_MAJOR/bin/postgres
  as_user tee "$WORK/postgres" >/dev/null <<<"#!/bin/sh
exec $* '$program' \"\$@\""
  as_user chmod 755 "$WORK/postgres"
  PG_CTL_FLAGS=(-p "$WORK/postgres")
  PG_CTL_SECONDS=300
}

# From here on the library is built with the address and undefined behaviour sanitizers, and the
# server has their runtime; what it reports goes to WORK/log/sanitizer.* or, if the behaviour is
# undefined, to the server's log, and ends the backend, as a crash does. Needs WORK.
use_sanitizers() {
  local flags="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
  local options=print_stacktrace=1:abort_on_error=1:log_path=$WORK/log/sanitizer
  local runtime first=$WORK/sanitizer-first.so
  runtime=$(readlink -f "$(gcc -print-file-name=libasan.so)") || return
  # PG_CPPFLAGS stand after the server's own flags, of which -fwrapv would make every overflow defined.
  MAKE_FLAGS=("CC=gcc $flags" "CXX=g++ $flags" PG_CPPFLAGS=-fno-wrapv)
  # The server is not built with them, so that nothing makes the runtime start before the libraries
  # that the server is linked with: a constructor of libgpg-error calls bindtextdomain, which
  # allocates while it has a lock of glibc; the runtime would start there and want the lock, too, for
  # the text of an error, which leaves the lock broken and the server waiting for it. So a library
  # of which the loader runs the constructor before any other's starts it. It has the other runtime's
  # options, too, which that would look for where the server has written its process title by then.
  as_user gcc -xc -shared -fPIC -Wl,-z,initfirst "-DOPTIONS=\"$options\"" -o "$first" - <<<'
void __asan_init(void);
const char *__ubsan_default_options(void) { return OPTIONS; }
__attribute__((constructor)) static void start_first(void) { __asan_init(); }' || return
  # Not asked for leaks: what the server allocates, it leaves to the end of the process. Nor to keep
  # locals elsewhere to find uses after return: the server measures its stack by their addresses.
  start_through env "LD_PRELOAD=$runtime:$first" \
    "ASAN_OPTIONS=$options:detect_leaks=0:detect_stack_use_after_return=0"
}

# link_all directory root [find's conditions]: links from the same directory below root.
link_all() {
  local directory=$1 root=$2
  shift 2
  find "$directory" -mindepth 1 -maxdepth 1 "$@" -exec ln -s -t "$root$directory" {} +
}

# as_tester sources suite command...: runs the command from there, with what the tests in
# tests/<suite> need that use PostgreSQL::Test; their servers and logs are in WORK/<suite>.
as_tester() {
  local sources=$1 suite=$2 pgxs=/usr/lib/postgresql/$PG_MAJOR/lib/pgxs/src
  shift 2
  as_user mkdir -p "$WORK/$suite"
  as_user env -C "$sources" "PERL5LIB=$pgxs/test/perl:$sources/tests/t:$sources/tests/crash" \
    "PG_REGRESS=$pgxs/test/regress/pg_regress" "TESTDIR=$WORK/$suite" \
    "TESTDATADIR=$WORK/$suite/tmp_check" "TESTLOGDIR=$WORK/$suite/tmp_check/log" PGPORT=65432 "$@"
}

# Starts a throw-away server with its data in WORK/data and its log in WORK/log/server.log; the
# arguments are further lines of its postgresql.conf. It listens on no port and is not made to
# outlive a crash of the machine.
start_server() {
  quietly initdb initdb -D "$WORK/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync ||
    return 1
  as_user tee -a "$WORK/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$WORK/socket'
fsync = off
max_prepared_transactions = 60
log_line_prefix = '%m [%p] %q%a '
$(printf '%s\n' "$@")
CONF
  if ! quietly start pg_ctl -D "$WORK/data" -l "$WORK/log/server.log" \
    "${PG_CTL_FLAGS[@]}" -t "$PG_CTL_SECONDS" -w start; then
    cat "$WORK/log/server.log" >&2
    return 1
  fi
  SERVER_RUNS=yes
}

# Stops every server whose data directory is below WORK, whoever started it there.
stop_servers() {
  local file files
  SERVER_RUNS=no
  [ -n "$WORK" ] && [ -n "$PG_BIN" ] || return 0
  # Nobody puts line ends into names below WORK. Not < <(...): that takes a mounted /proc.
  mapfile -t files <<<"$(find "$WORK" -name postmaster.pid 2>/dev/null)"
  for file in "${files[@]}"; do
    [ -n "$file" ] || continue
    as_user pg_ctl -D "${file%/*}" -m "${1:-fast}" -t "$PG_CTL_SECONDS" -w stop </dev/null >/dev/null 2>&1 ||
      as_user pg_ctl -D "${file%/*}" -m immediate -w stop </dev/null >/dev/null 2>&1 || true
  done
}

clean_up_at_exit() {
  trap cleanup EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# The end of the script: the running command, the servers, the work directory.
cleanup() {
  local status=$? try
  trap '' HUP INT TERM
  set +e
  remove_dropin
  if [ -n "$JOB" ]; then
    kill -TERM -- "-$JOB" 2>/dev/null
    for try in {1..50}; do
      kill -0 -- "-$JOB" 2>/dev/null || break
      if [ "$try" = 50 ]; then kill -KILL -- "-$JOB" 2>/dev/null; fi
      sleep 0.1
    done
    JOB=
  fi
  stop_servers immediate
  if [ -n "$WORK" ]; then
    if [ "$KEEP_WORK" = yes ]; then
      echo "kept: $WORK"
    else
      rm -rf --one-file-system "$WORK"
    fi
  fi
  exit "$status"
}
