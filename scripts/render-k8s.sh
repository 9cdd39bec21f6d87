#!/usr/bin/env bash
# Writes deploy/k8s/ledgermq.yaml, for those who do not use Helm: a cluster to play with, as the chart makes it of its
# defaults where everybody is trusted.
# With --check it writes nothing, and fails if what is there is not that.
set -euo pipefail

cd "$(dirname "$0")/.."

tools=$(scripts/install-deploy-tools.sh)
file=deploy/k8s/ledgermq.yaml

render() {
  cat <<'YAML'
# A CLUSTER TO PLAY WITH: NOTHING PROTECTS IT. Whoever reaches its ports may read, write and delete everything, without TLS
# and without a password; whoever reaches port 8083 is a node. Its nodes are told so (--insecure), and warn of it.
# For one that is protected use the chart, or render it with your own values: docs/operations.md.
#
#   kubectl apply -f deploy/k8s/ledgermq.yaml
#
# Made by scripts/render-k8s.sh from deploy/helm/ledgermq: change the chart, and render again.
# Namespaces that enforce the restricted Pod Security Standard take these pods.
apiVersion: v1
kind: Namespace
metadata:
  name: ledgermq
  labels:
    app.kubernetes.io/name: ledgermq
    pod-security.kubernetes.io/enforce: restricted
YAML
  # Helm says on standard error that it follows the links to the rules and dashboards.
  # Nothing of Helm's own stays, nor spaces at ends of lines.
  "$tools/bin/helm" template ledgermq deploy/helm/ledgermq --namespace ledgermq --skip-tests \
    --set 'insecure={plaintext,access,peers}' \
    2> >(grep -v 'found symbolic link' >&2) |
    sed -e '/^# Source: /d' -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' -e 's/ *$//'
}

if [ "${1:-}" = --check ]; then
  if ! diff -u --label "$file" --label "what the chart makes now" "$file" <(render); then
    echo "$file is not what the chart makes: run scripts/render-k8s.sh" >&2
    exit 1
  fi
else
  render >"$file.new"
  mv "$file.new" "$file"
  echo "wrote $file"
fi
