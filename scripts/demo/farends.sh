# SPDX-License-Identifier: GPL-2.0-only
#
# The far ends of the demo: Debian's BIRD 2 and FRR, unmodified, hold time 9 s, each in a namespace; and
# what they say of their session. BIRD dials; FRR waits to be dialled.

BIRD_ADDR=10.0.0.11 FRR_ADDR=10.0.0.12 SERVICE=10.0.0.100
BIRD_AS=65011 FRR_AS=65012 OUR_AS=65000

farends_start() {
	farend_bird_start
	farend_frr_start
}

farends_stop() {
	local pid

	for pid in $(ip netns pids bird) $(ip netns pids frr); do
		kill -9 "$pid"
	done
} 2>/dev/null

farend_bird_start() {
	: >"$LOGS/bird.log"
	cat >"$DIR/bird.conf" <<-CONF
	router id $BIRD_ADDR;
	timeformat protocol iso long ms;
	timeformat route iso long ms;
	log "$LOGS/bird.log" all;
	protocol device { }
	protocol static { ipv4; route 203.0.113.0/24 blackhole; route 203.0.112.0/24 blackhole; }
	protocol static late { disabled; ipv4; route 198.18.0.0/15 blackhole; }
	protocol static { ipv6; route 2001:db8:b::/48 blackhole; }
	protocol bgp nsr {
		debug { events };
		local $BIRD_ADDR as $BIRD_AS;
		neighbor $SERVICE as $OUR_AS;
		hold time 9;
		connect retry time 2;
		connect delay time 1;
		error wait time 1, 2;
		ipv4 { import all; export all; };
		ipv6 { import all; export all; next hop address fd00::11; };
	}
	CONF
	ip netns exec bird bird -c "$DIR/bird.conf" -s "$DIR/bird.ctl" -P "$DIR/bird.pid" \
		>>"$LOGS/bird.out" 2>&1
}

farend_frr_start() {
	mkdir -p /etc/frr/far /var/run/frr/far
	chown -R frr:frr /etc/frr/far /var/run/frr/far
	: >/etc/frr/far/vtysh.conf
	cat >"$DIR/bgpd.conf" <<-CONF
	router bgp $FRR_AS
	 bgp router-id $FRR_ADDR
	 no bgp ebgp-requires-policy
	 no bgp network import-check
	 neighbor $SERVICE remote-as $OUR_AS
	 neighbor $SERVICE passive
	 neighbor $SERVICE timers 3 9
	 address-family ipv4 unicast
	  network 198.51.100.0/24
	  neighbor $SERVICE activate
	 exit-address-family
	 address-family ipv6 unicast
	  network 2001:db8:f::/48
	  neighbor $SERVICE activate
	 exit-address-family
	CONF
	chmod 644 "$DIR/bgpd.conf"
	ip netns exec frr /usr/lib/frr/bgpd -d -Z -N far -A 127.0.0.1 -f "$DIR/bgpd.conf" \
		--log "file:$LOGS/frr.log" >>"$LOGS/frr.out" 2>&1
}

bird_cli() {
	birdc -s "$DIR/bird.ctl" "$@" 2>/dev/null
}

bird_protocol() {
	bird_cli show protocols nsr | awk '$1 == "nsr"'
}

bird_up() {
	bird_protocol | grep -q Established
}

# Since of the session: the moment when it was established
bird_since() {
	bird_protocol | awk '{ print $5 " " $6 }'
}

# Since of a route that we announce
bird_route_since() {
	bird_cli show route 192.0.2.0/24 protocol nsr |
		sed -n 's/.*\[nsr \([0-9-]* [0-9:.]*\).*/\1/p' | head -n 1
}

bird_has_our_route() {
	[ -n "$(bird_route_since)" ]
}

frr_cli() {
	vtysh -N far -c "$1" 2>/dev/null
}

# How BIRD's session ended, by its log: "Last error" is soon overwritten by the next attempt to connect
bird_lost() {
	sed -n 's/.*nsr: \(Connection lost.*\|Connection closed.*\|.*Hold timer expired.*\|Received: .*\)/\1/p' \
		"$LOGS/bird.log" | head -n 1
}

# one member of FRR's JSON for the session
frr_get() {
	frr_cli "show bgp neighbors $SERVICE json" |
		python3 -c 'import json, sys
d = json.load(sys.stdin)["'"$SERVICE"'"]
for k in sys.argv[1].split("."):
    d = d.get(k, {}) if isinstance(d, dict) else {}
print(d if d != {} else "-")' "$1" 2>/dev/null || echo -
}

frr_up() {
	[ "$(frr_get bgpState)" = Established ]
}

# The counters that a new session, or a second start of this one, would move
frr_counters() {
	local k

	for k in connectionsDropped connectionsEstablished messageStats.opensRecv messageStats.notificationsRecv \
		messageStats.updatesRecv portForeign; do
		printf '%s=%s ' "${k##*.}" "$(frr_get $k)"
	done
}

# frr_was COUNTER: what it was at the snapshot
frr_was() {
	echo "$FRR_COUNTERS" | sed "s/.*$1=\([^ ]*\).*/\1/"
}

farends_up() {
	bird_up && frr_up
}

# Everything that each far end knows of its session, for a comparison afterwards
farends_snapshot() {
	BIRD_SINCE=$(bird_since)
	BIRD_ROUTE=$(bird_route_since)
	FRR_COUNTERS=$(frr_counters)
	FARENDS_SEEN=$(date +%s%3N)
}
