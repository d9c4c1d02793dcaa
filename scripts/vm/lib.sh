# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the host-side scripts of the virtual machine share: where things lie,
# and how they complain. Sourced, with $me set to the script's name.
#
# Everything made lies under build/, is git-ignored and is made again when it
# is missing. Nothing is installed on the host.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P) || exit 1
vmdir=$repo/scripts/vm
build=$repo/build
# May be a link to another clone's: headers know their own place.
kernels=$(readlink -m "$build/kernels")
export LC_ALL=C

die() {
	echo "$me: $*" >&2
	exit "${rc_setup:-1}"
}

say() {
	echo "$me: $*" >&2
}

# Hold the named lock until the script ends. Children must not inherit the
# descriptor (9<&-) if they may outlive it.
lock() {
	mkdir -p "$build/lock" || die "cannot write to $build"
	exec 9>"$build/lock/$1"
	if ! flock -n 9; then
		say "waiting for another $me at work on $1"
		flock 9
	fi
}

# apt_download DIR PACKAGE...: the package files, into DIR. Lists that are
# absent or out of date show as a failure: refresh them and try again.
apt_download() {
	local dir=$1 log
	shift
	mkdir -p "$dir" || die "cannot write to $dir"
	log=$dir/download.log
	for try in 1 2; do
		(cd "$dir" && apt-get -q -o APT::Sandbox::User=root download "$@") \
			>"$log" 2>&1 </dev/null && return 0
		[ $try = 1 ] && apt-get -q update >>"$log" 2>&1 </dev/null
	done
	tail -n 5 "$log" >&2
	die "cannot download $*: does apt-get have Debian 12's main and security suites?"
}

# apt_depends PACKAGE PATTERN: the first dependency that matches.
apt_depends() {
	local try name
	for try in 1 2; do
		name=$(apt-cache depends "$1" 2>/dev/null |
			sed -n 's/^ *|\?Depends: //p' | grep -m1 -E "^$2\$") && {
			echo "$name"
			return 0
		}
		[ $try = 1 ] && apt-get -q update >/dev/null 2>&1 </dev/null
	done
	return 1
}
