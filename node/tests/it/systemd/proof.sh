# Runs as a service of the booted systemd; `/run/shared/commands.sh` holds the commands that the unit
# tells its operator to run.
set -x
PS4="+ \$(cut -d\" \" -f1 /proc/uptime) "
echo up > /run/shared/up
ip link set lo up
systemctl start systemd-journald dbus
printf 'the passphrase of the credential' > /run/passphrase
sh -ex /run/shared/commands.sh < /run/passphrase || exit 1
token=/var/lib/memory-node/token
node='memory-node --data-dir /var/lib/memory-node'
wait_for_node() {
    for _ in $(seq 100); do
        memory-node --connect 127.0.0.1:9077 --token-file $token stats && return
        sleep 0.1
    done
}
show() {
    systemctl show memory-node --property=ActiveState,Result,NRestarts,ExecMainStatus > "/run/shared/$1"
}
systemctl start memory-node
wait_for_node
show started
pid=$(systemctl show memory-node --property=MainPID --value)
cat "/proc/$pid/status" > /run/shared/status
ls -ln /var/lib/memory-node/ > /run/shared/files
memory-node --connect 127.0.0.1:9077 --token-file $token store --title 'over loopback' --content kept
memory-node --token-file $token --connect unix:/run/memory-node/node.sock store --title 'over the socket' --content kept
kill -9 "$pid"
# Restart=on-failure after two seconds.
for _ in $(seq 100); do
    [ "$(systemctl show memory-node --property=NRestarts --value)" = 1 ] && break
    sleep 0.1
done
wait_for_node
show restarted
$node list --json > /run/shared/list.json
cp $token /run/shared/token
systemctl stop memory-node
show stopped
journalctl --sync
journalctl --no-pager --unit=memory-node > /run/shared/journal
echo end > /run/shared/end
