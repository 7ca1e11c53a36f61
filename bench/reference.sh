#!/usr/bin/env bash
# The commands of the story in series, as its Taskfile runs them: what `bench.bootstrap` compares a
# run with. Where the story has no command that waits, this asks every five seconds.
#
#   reference.sh CLUSTER TIMES
#
# It runs in the lab's copy of the definition and environment. FIRST, CONTROL_PLANE, WORKERS and
# ENDPOINT hold addresses. TIMES gets one line per stage and per command: kind, name, start and
# seconds. It ends when every HelmRelease is Ready, and talosctl health and flux check have passed.
set -euo pipefail

cluster=$1
times=$2
poll_s=5
deadline=$((SECONDS + 900))

timed() { # run a command, and note how long it took
  local began=$EPOCHREALTIME code=0
  "$@" || code=$?
  printf 'command %s %s %s\n' "${1##*/}" "$began" "$(since "$began")" >>"$times"
  return "$code"
}

since() {
  awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'
}

stage() { # begin a stage, and note how long the one before took
  if [ -n "${stage:-}" ]; then
    printf 'stage %s %s %s\n' "$stage" "$stage_began" "$(since "$stage_began")" >>"$times"
  fi
  stage=$1 stage_began=$EPOCHREALTIME
}

until_it() { # repeat a command every five seconds
  until "$@"; do
    if ((SECONDS > deadline)); then
      echo "gave up: $*" >&2
      exit 1
    fi
    printf 'asleep sleep %s %s\n' "$EPOCHREALTIME" "$poll_s" >>"$times"
    sleep "$poll_s"
  done
}

machine=(talosctl --nodes "$FIRST" --endpoints "$FIRST")
IFS=, read -ra control_plane <<<"$CONTROL_PLANE"
IFS=, read -ra workers <<<"$WORKERS"
nodes=$((${#control_plane[@]} + ${#workers[@]}))

every_member_votes() {
  local members
  # Without a limit, this never returns while etcd is not running.
  members=$(timed timeout 10 "${machine[@]}" etcd members) || return 1
  [ "$(grep -c ' false *$' <<<"$members")" -eq "${#control_plane[@]}" ]
}

every_node_registered() {
  local found
  found=$(timed kubectl get nodes --no-headers) || return 1
  [ "$(wc -l <<<"$found")" -eq "$nodes" ]
}

every_helmrelease_ready() {
  local found
  found=$(timed kubectl get helmreleases --all-namespaces --no-headers) || return 1
  [ "$(awk '$4 == "True"' <<<"$found" | wc -l)" -eq 5 ]
}

nothing_fails() {
  local found
  found=$(timed flux get all --all-namespaces --no-header) || return 1
  ! awk -F'\t' '$5 ~ /False|Unknown/ { found = 1 } END { exit !found }' <<<"$found"
}

stage 10-talos
timed "${machine[@]}" bootstrap
until_it every_member_votes

stage 20-kubernetes
until_it timed "${machine[@]}" kubeconfig --force --merge=false "$KUBECONFIG"
until_it every_node_registered
timed op document create - --title "kubeconfig-$cluster" --vault k8s-ops <"$KUBECONFIG" >/dev/null

stage 30-crds
timed op inject <"bootstrap/$cluster/secrets.yaml.tpl" | timed kubectl apply --server-side -f -
timed helmfile --file "bootstrap/$cluster/helmfile.d/00-crds.yaml" sync
timed kubectl wait --for condition=established --timeout=120s \
  crd/ciliumnetworkpolicies.cilium.io \
  crd/ciliumclusterwidenetworkpolicies.cilium.io \
  crd/ciliumloadbalancerippools.cilium.io \
  crd/certificates.cert-manager.io \
  crd/clusterissuers.cert-manager.io \
  crd/gateways.gateway.networking.k8s.io \
  crd/httproutes.gateway.networking.k8s.io

stage 40-apps
timed helmfile --file "bootstrap/$cluster/helmfile.d/01-apps.yaml" sync
timed kubectl wait --for condition=Ready --timeout=300s nodes --all
timed "${machine[@]}" health --wait-timeout 10m \
  --control-plane-nodes "$CONTROL_PLANE" --worker-nodes "$WORKERS"

stage 50-flux
for file in gitrepository flux-system-kustomization; do
  timed kubectl apply --server-side -f "bootstrap/$cluster/resources/$file.yaml"
done
timed kubectl -n flux-system wait --for=condition=Ready --timeout=300s kustomization/flux-system

stage 60-flux-health
timed flux check
until_it every_helmrelease_ready
until_it nothing_fails
stage end
