# shellcheck shell=bash
# The suite upgrade of scripts/test: pg_upgrade from each older version of PostgreSQL that is
# installed here with its headers. tests/upgrade/ says what there is before the upgrade and what must
# be so after it.
#
# Before each of our upgrades comes a control: the same pg_upgrade of a cluster with one plain table
# and nothing of ours, by the programs as they are installed. Some minor versions can't be upgraded at
# all, because the newer server doesn't know what the older one writes. If pg_upgrade ran and failed
# in the control, and a server's error says why, then the suite prints these errors and skips this
# pair of versions. Everything else that goes wrong in the control is a failure, and so is an upgrade
# of ours that fails after a control that passed.

suite_upgrade() {
  local old wanted=" ${KANTHORQ_UPGRADE_FROM:-} "
  build_once || return
  for ((old = 15; old < PG_MAJOR; old++)); do
    if [ -x "/usr/lib/postgresql/$old/bin/initdb" ] &&
      [ -e "/usr/include/postgresql/$old/server/postgres.h" ]; then
      upgrade_from "$old" || fail "the upgrade from $old could not be run to its end"
    elif [[ $wanted == *" $old "* ]]; then
      fail "there is no PostgreSQL $old to upgrade from"
    fi
  done
}

upgrade_from() {
  local old=$1 dir=$WORK/upgrade-$1 bin=$WORK/root-$1/usr/lib/postgresql/$1/bin works=0
  as_user mkdir "$dir" || return
  control_upgrade "$old" "$dir/control" || works=$?
  if [ $works = "$SERVERS_CAN_NOT" ]; then
    skip "pg_upgrade from $old to $PG_MAJOR: it fails for a plain table, without KanthorQ, as well"
    return 0
  fi
  [ $works = 0 ] || return

  echo "from $old to $PG_MAJOR:"
  as_user cp -a "$WORK/src" "$WORK/src-$old" &&
    quietly clean make -C "$WORK/src-$old" "PG_CONFIG=/usr/lib/postgresql/$old/bin/pg_config" clean &&
    install_copy "$old" "$WORK/src-$old" "$WORK/root-$old" || return
  upgrade_cluster "$bin" "$dir/old" "shared_preload_libraries = 'kanthorq'" &&
    upgrade_server "$bin" "$dir/old" start "$old" &&
    upgrade_tests before.sql && upgrade_tests before_partitions.sql && upgrade_server "$bin" "$dir/old" stop "$old" || return

  upgrade_cluster "$PG_BIN" "$dir/new" "shared_preload_libraries = 'kanthorq'" &&
    pg_upgrade_of "$bin" "$PG_BIN" "$dir" && quietly pg_upgrade "${PG_UPGRADE[@]}" || return
  upgrade_server "$PG_BIN" "$dir/new" start "$old" && upgrade_tests after.sql &&
    upgrade_tests after_partitions.sql && upgrade_server "$PG_BIN" "$dir/new" stop "$old"
}

SERVERS_CAN_NOT=3   # what control_upgrade returns if it is the servers that can't

# control_upgrade old directory
control_upgrade() {
  local old=$1 dir=$2 log=$WORK/log/control.log errors status=0
  local bin=/usr/lib/postgresql/$1/bin new_bin=/usr/lib/postgresql/$PG_MAJOR/bin
  as_user mkdir "$dir" && upgrade_cluster "$bin" "$dir/old" && upgrade_cluster "$new_bin" "$dir/new" || return 1
  # By a server as users have it. One in single-user mode gives new objects ids of the server's own range,
  # which the newer version's objects have, so that pg_upgrade would fail because of this table.
  upgrade_server "$bin" "$dir/old" start "$old" &&
    quietly control psql -X -q -v ON_ERROR_STOP=1 -h "$WORK/socket" -p 50432 -U postgres -d postgres \
      -c "CREATE TABLE plain (number integer PRIMARY KEY, word text)" &&
    upgrade_server "$bin" "$dir/old" stop "$old" || return 1

  pg_upgrade_of "$bin" "$new_bin" "$dir"
  as_user "${PG_UPGRADE[@]}" >"$log" 2>&1 </dev/null || status=$?
  if [ $status = 0 ]; then
    echo "control: pg_upgrade from $old to $PG_MAJOR works without KanthorQ"
    return
  fi
  # What pg_restore and psql were answered. If pg_upgrade's own checks fail, there are no such lines.
  errors=$(find "$dir/new" -path '*/pg_upgrade_output.d/*' \( -name 'pg_upgrade_dump_*.log' -o -name pg_upgrade_utility.log \) \
    -exec grep -hE '(ERROR|FATAL|PANIC): ' {} + | head -n 20) || true
  if [ $status = 1 ] && [ -n "$errors" ]; then
    echo "control: pg_upgrade from $old to $PG_MAJOR fails for a plain table without KanthorQ, as a server says:"
    printf '%s\n' "$errors"
    return "$SERVERS_CAN_NOT"
  fi
  cat "$log"
  echo "control: pg_upgrade ended with status $status, and no server's error says why"
  return 1
}

# pg_upgrade_of old_programs new_programs directory: sets PG_UPGRADE to the command that upgrades the cluster
# old in the directory to the cluster new.
pg_upgrade_of() {
  PG_UPGRADE=(env -C "$3" "$2/pg_upgrade" -U postgres -b "$1" -B "$2" -d "$3/old" -D "$3/new"
    --socketdir "$WORK/socket")
}

# upgrade_cluster programs directory [setting...]. Checksums, because 18 has them by default and pg_upgrade wants
# the same on both sides.
upgrade_cluster() {
  quietly initdb "$1/initdb" -D "$2" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync -k &&
    as_user tee -a "$2/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$WORK/socket'
fsync = off
max_prepared_transactions = 10
$(printf '%s\n' "${@:3}")
CONF
}

# upgrade_server programs directory start|stop old
upgrade_server() {
  quietly "$3" "$1/pg_ctl" -D "$2" -l "$WORK/log/upgrade-server-$4.log" \
    -o "-p 50432" -w "$3"
}

# upgrade_tests file: true if its tests passed.
upgrade_tests() {
  local before=$FAILED
  run_tests --comments --exec \
    "psql -X -q -A -t -v ON_ERROR_STOP=1 -h $WORK/socket -p 50432 -U postgres -d postgres -f" "tests/upgrade/$1"
  [ "$FAILED" = "$before" ]
}
