# SPDX-License-Identifier: GPL-2.0-only
#
# The two boxes of the demo, and the wires:
#
#	bird 10.0.0.11   frr 10.0.0.12         each far end: a namespace
#	      |                |
#	======+== bridge lan ==+=======        service network
#	      |                |
#	    box a            box b             service address 10.0.0.100, fd00::100
#	      +---- 10.1.0.0 --+               sync link

wires_start() {
	ip netns add lan
	ip -n lan link add br0 type bridge forward_delay 0
	ip -n lan link set br0 up
	host_add bird 10.0.0.11/24 fd00::11/64
	host_add frr 10.0.0.12/24 fd00::12/64
}

wire() {	# wire NAMESPACE: its end is called svc
	ip link add "p-$1" netns lan type veth peer name svc netns "$1"
	ip -n lan link set "p-$1" master br0 up
	ip -n "$1" link set lo up
	ip -n "$1" link set svc up
}

host_add() {	# host_add NAME IPV4 IPV6
	ip netns add "$1"
	wire "$1"
	ip -n "$1" addr add "$2" dev svc
	ip -n "$1" addr add "$3" dev svc nodad
}

box_number() {
	case $1 in a | c) echo 1 ;; *) echo 2 ;; esac
}

box_create() {	# box_create NAME: a box fresh from the factory, nothing running
	local n

	n=$(box_number "$1")
	ip netns add "$1"
	wire "$1"
	# the sync link: one wire through a bridge of its own, so that either box can be reborn
	ip -n lan link show sync >/dev/null 2>&1 || {
		ip -n lan link add sync type bridge forward_delay 0
		ip -n lan link set sync up
	}
	ip link add "s-$1" netns lan type veth peer name sync netns "$1"
	ip -n lan link set "s-$1" master sync up
	ip -n "$1" addr add "10.1.0.$n/24" dev sync
	ip -n "$1" link set sync up
	mkdir -p "$DIR/$1/run" "$DIR/$1/state"
}

# A lease runs for 3 intervals, and the far ends hear from us again 16 after a death (Documentation/operations.md).
# Longer, and a busy machine under emulation lets no lease lapse; shorter, and more is left of the far ends' patience
# (said_lately, story.sh).
INTERVAL=250ms

box_config() {	# box_config NAME
	local n peer

	n=$(box_number "$1")
	peer=$((3 - n))
	cat >"$DIR/$1/nsrd.conf" <<-CONF
	node-id = $n
	state-dir = "$DIR/$1/state"
	run-dir = "$DIR/$1/run"
	peer {
		address = "10.1.0.$peer"
		local = "10.1.0.$n"
	}
	group "edge" {
		id = 1
		interface = "svc"
		addresses = { "$SERVICE/24", "fd00::100/64" }
		mac = "replace"
		priority = $((200 - n))
		interval = "$INTERVAL"
		rule {
			local-port = 179
			application = "bgpd"
		}
		rule {
			remote-port = 179
			application = "bgpd"
		}
	}
	CONF
	bgpd_config "$1" "group = \"edge\"
nsrd-socket = \"$DIR/$1/run/app.sock\""
}

bgpd_config() {	# bgpd_config NAME EXTRA: the same file on both boxes, but for paths
	cat >"$DIR/$1/bgpd.conf" <<-CONF
	local-as = $OUR_AS
	router-id = "$SERVICE"
	listen = { "$SERVICE" }
	next-hop = "$SERVICE"
	next-hop6 = "fd00::100"
	connect-retry = 1
	control-socket = "$DIR/$1/bgpd.sock"
	$2
	neighbor "$BIRD_ADDR" { remote-as = $BIRD_AS passive = true hold-time = 9 }
	neighbor "$FRR_ADDR" { remote-as = $FRR_AS hold-time = 9 }
	network "192.0.2.0/24" { }
	network "192.0.3.0/24" { communities = { "65000:100" } }
	network6 "2001:db8:100::/48" { }
	CONF
}

box_start() {	# box_start NAME
	box_config "$1"
	# As its unit file has it: the lease does not wait for a busy machine.
	ip netns exec "$1" chrt -r 10 "$BUILD/daemon/nsrd" -c "$DIR/$1/nsrd.conf" >>"$LOGS/nsrd-$1.log" 2>&1 &
	box_bgpd_start "$1"
}

box_bgpd_start() {
	ip netns exec "$1" "$BUILD/examples/nsr-bgpd" -c "$DIR/$1/bgpd.conf" >>"$LOGS/bgpd-$1.log" 2>&1 &
}

box_kill() {	# every process of the box at once, with no chance to say anything
	local pids

	pids=$(ip netns pids "$1")
	[ -n "$pids" ] || return 0
	kill -9 $pids
	wait $pids
} 2>/dev/null

box_cut() {	# pull both cables
	printf 'link set %s down\n' "p-$1" "s-$1" | ip -n lan -batch -
}

box_destroy() {
	box_kill "$1"
	# Orphaned sockets may keep its namespace for minutes: without cables it is no box.
	ip -n lan link del "p-$1"
	ip -n lan link del "s-$1"
	ip netns del "$1"
	rm -rf "${DIR:?}/$1/run" "$DIR/$1/bgpd.sock"
}

ctl() {	# ctl BOX VERB...
	local box=$1

	shift
	"$BUILD/daemon/nsrctl" -s "$DIR/$box/run/control.sock" "$@"
}

box_role() {
	ctl "$1" show groups 2>/dev/null | awk '$1 == "edge" { print $3 }'
}

box_is() {	# box_is BOX ROLE
	[ "$(box_role "$1")" = "$2" ]
}

box_rib() {
	"$BUILD/examples/nsr-bgpd" --show rib -s "$DIR/$1/bgpd.sock" 2>/dev/null
}

box_has_route() {
	box_rib "$1" | grep -q "$2"
}

ribs_equal() {
	[ -n "$(box_rib a)" ] && [ "$(box_rib a)" = "$(box_rib b)" ]
}
