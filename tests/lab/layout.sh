# SPDX-License-Identifier: Apache-2.0
#
# Where the lab keeps its things; sourced by fetch, build-guest and run (bash, on the host).
# A "track" is one Debian cloud kernel: "stable" is what Debian 12 ships, "backports" is the newer one
# from bookworm-backports.
# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the scripts that source this file

lab_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lab_build=${BULKHEAD_LAB_BUILD:-$(cd "$lab_source/../.." && pwd)/build/lab}
lab_cache=$lab_build/cache
lab_transcripts=$lab_build/transcripts

lab_die() {
    echo "lab: $*" >&2
    exit 1
}

# lab_require COMMAND PACKAGE: ends with the name of the package to install when COMMAND is missing.
lab_require() {
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || lab_die "$1 is missing: install $2 (make deps does)"
}

# lab_track_version TRACK: the kernel release (uname -r) of a fetched track.
lab_track_version() {
    cat "$lab_cache/$1/version" 2>/dev/null || lab_die "kernel track $1 is not fetched: run tests/lab/fetch $1"
}

# lab_is_track NAME: whether NAME is one of the known tracks.
lab_is_track() {
    case $1 in stable | backports) return 0 ;; *) return 1 ;; esac
}

# lab_pack DIRECTORY OUTPUT: a newc cpio archive of DIRECTORY, owned by root whoever builds it. Archives are
# not compressed: unpacking costs more in an emulated machine than the bytes do, and they can be concatenated.
lab_pack() {
    (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2.partial.$$"
    mv "$2.partial.$$" "$2"
}

# lab_copy_modules TRACK DESTINATION MODULE...: copies kernel modules and what they need into
# DESTINATION/modules, and writes DESTINATION/modules/load-order, one file name a line.
lab_copy_modules() {
    local track=$1 destination=$2/modules version module action path rest name
    shift 2
    version=$(lab_track_version "$track")
    mkdir -p "$destination"
    : >"$destination/load-order"
    for module in "$@"; do
        while read -r action path rest; do
            [ "$action" = insmod ] || continue # the rest are built in
            name=$(basename "${path%.xz}")
            [ -e "$destination/$name" ] && continue
            case $path in
                *.xz) xz -dc "$path" >"$destination/$name" ;;
                *) cp "$path" "$destination/$name" ;;
            esac
            echo "$name" >>"$destination/load-order"
        done < <(PATH=$PATH:/usr/sbin:/sbin modprobe -d "$lab_cache/$track/root" -S "$version" --show-depends "$module")
    done
}

# lab_copy_busybox DESTINATION: busybox with a link for every applet in DESTINATION/bin.
lab_copy_busybox() {
    local applet busybox
    busybox=$(command -v busybox)
    mkdir -p "$1/bin"
    cp "$busybox" "$1/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$1/bin/$applet"
    done
}

# lab_is_current STAMP FILE...: whether STAMP records exactly these files' contents; prints nothing.
lab_is_current() {
    local stamp=$1
    shift
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(lab_fingerprint "$@")" ]
}

lab_fingerprint() {
    cat "$@" | sha256sum | cut -d ' ' -f 1
}
