#!/bin/sh
# runc where root has fewer rights than a container asks for, as in a container: what it can't set
# is left out.
bundle=. last=
for argument; do
    case $last in --bundle | -b) bundle=$argument ;; esac
    case $argument in --bundle=*) bundle=${argument#*=} ;; esac
    last=$argument
done
case " $* " in *" create "* | *" run "*)
    files=$(ulimit -Hn)
    [ "$files" != unlimited ] || files=1048576
    jq --argjson files "$files" '
        del(.process.oomScoreAdj)
        | if .process.rlimits then .process.rlimits |= map(select(.type == "RLIMIT_NOFILE")
            | .hard = ([.hard, $files] | min) | .soft = ([.soft, $files] | min)) else . end
        | if .process.capabilities then
            .process.capabilities |= map_values(map(select(. != "CAP_SYS_RESOURCE"))) else . end' \
        "$bundle/config.json" >"$bundle/config.new" && mv "$bundle/config.new" "$bundle/config.json"
    ;;
esac
exec runc "$@"
