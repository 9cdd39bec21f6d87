{{/* The configuration file. The same for every pod, and the same for every number of them: a checksum of it is in the
     pods' template, so that a change restarts them one by one, and scaling restarts none. */}}
{{- define "ledgermq.config" -}}
{{- $domain := include "ledgermq.domain" . -}}
{{- $name := include "ledgermq.fullname" . -}}
# Every pod reads this file. What differs is in the environment: the node's name and what it advertises.
[cluster]
name = {{ .Values.cluster.name | quote }}
broker_groups = {{ int .Values.cluster.brokerGroups }}
seeds = [
{{- range $ordinal := until (int .Values.cluster.seedReplicas) }}
  "{{ $name }}-{{ $ordinal }}.{{ $domain }}:8083",
{{- end }}
]

[node]
data = "/var/lib/ledgermq"

[grpc]
bind = "0.0.0.0:8081"
{{- if include "ledgermq.tlsSecret" . }}
tls_cert = "/etc/ledgermq/tls/tls.crt"
tls_key = "/etc/ledgermq/tls/tls.key"
{{- end }}
{{- if include "ledgermq.tlsOnly" . }}
tls_only = true
{{- end }}

[http]
bind = "0.0.0.0:8082"
{{- if include "ledgermq.tlsOnly" . }}
tls_only = true
{{- end }}

[peer]
bind = "0.0.0.0:8083"
{{- if include "ledgermq.peerTlsSecret" . }}
tls_authority = "/etc/ledgermq/peers/ca.crt"
tls_cert = "/etc/ledgermq/peers/tls.crt"
tls_key = "/etc/ledgermq/peers/tls.key"
# Of the first pod; a certificate for *.{{ $domain }} is valid for it, as for every other one.
tls_names = ["{{ $name }}-0.{{ $domain }}"]
{{- end }}
{{- if .Values.access.secretName }}

[access]
enabled = {{ include "ledgermq.accessEnabled" . | default "false" }}
seal_key = "/etc/ledgermq/access/seal-key"
admin_secret = "/etc/ledgermq/access/admin-secret"
{{- if and .Values.access.clientAuthority (include "ledgermq.accessEnabled" .) }}
client_authority = "/etc/ledgermq/access/{{ .Values.access.clientAuthority }}"
{{- end }}
{{- end }}
{{- range $section, $keys := .Values.config }}
{{- if $keys }}

[{{ $section }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ include "ledgermq.toml" $value }}
{{- end }}
{{- end }}
{{- end }}
{{ end }}

{{/* A value of YAML as TOML. Helm reads every number as a float: written as one, 3 would be 3.0, which few keys take. */}}
{{- define "ledgermq.toml" -}}
{{- if kindIs "string" . -}}
{{ . | toJson }}
{{- else if kindIs "bool" . -}}
{{ . }}
{{- else if kindIs "slice" . -}}
[{{ range $index, $entry := . }}{{ if $index }}, {{ end }}{{ include "ledgermq.toml" $entry }}{{ end }}]
{{- else if ne (float64 .) (float64 (int64 .)) -}}
{{ float64 . }}
{{- else -}}
{{ int64 . }}
{{- end -}}
{{- end }}
