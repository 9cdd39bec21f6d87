{{/* The name of everything. The pods are called NAME-0, NAME-1, ... and StatefulSets allow 52 characters. */}}
{{- define "ledgermq.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "ledgermq.headless" -}}
{{ include "ledgermq.fullname" . }}-headless
{{- end }}

{{/* What a pod's name is followed by to be its host name. */}}
{{- define "ledgermq.domain" -}}
{{ include "ledgermq.headless" . }}.{{ .Release.Namespace }}.svc.{{ .Values.cluster.dnsDomain }}
{{- end }}

{{/* What clients dial: the pods that are ready. */}}
{{- define "ledgermq.clients" -}}
{{ include "ledgermq.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.cluster.dnsDomain }}
{{- end }}

{{/* The pods that are nodes, and no others: neither those of a test nor those of another release. */}}
{{- define "ledgermq.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ledgermq.metadataLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ledgermq
{{- end }}

{{- define "ledgermq.labels" -}}
{{ include "ledgermq.selector" . }}
{{ include "ledgermq.metadataLabels" . }}
{{- end }}

{{/* The pod of `helm test` is no node: a selector of nodes must not find it. */}}
{{- define "ledgermq.testSelector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ledgermq.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "ledgermq.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "ledgermq.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Whether access is controlled; with a secret and without this users can be made, and nobody is refused. */}}
{{- define "ledgermq.accessEnabled" -}}
{{- if and .Values.access.secretName (not (has "access" .Values.insecure)) -}}true{{- end -}}
{{- end }}

{{/* Whether who does not speak TLS is refused. */}}
{{- define "ledgermq.tlsOnly" -}}
{{- if not (has "plaintext" .Values.insecure) -}}true{{- end -}}
{{- end }}

{{/* The secret with the certificate of the ports for clients and HTTP; empty if each node makes its own. */}}
{{- define "ledgermq.tlsSecret" -}}
{{- if .Values.tls.secretName -}}
{{ .Values.tls.secretName }}
{{- else if .Values.tls.certManager.enabled -}}
{{ include "ledgermq.fullname" . }}-tls
{{- end -}}
{{- end }}

{{/* The secret with the certificate by which nodes know each other; empty if they take everybody. */}}
{{- define "ledgermq.peerTlsSecret" -}}
{{- if .Values.peerTls.secretName -}}
{{ .Values.peerTls.secretName }}
{{- else if .Values.peerTls.certManager.enabled -}}
{{ include "ledgermq.fullname" . }}-peers
{{- end -}}
{{- end }}

{{/* Whom the command line trusts, in a pod that has the secret. */}}
{{- define "ledgermq.tlsEnv" -}}
- name: LEDGERMQ_TLS_CA
  value: /etc/ledgermq/tls/ca.crt
# The certificate is for what clients dial, not for the 127.0.0.1 that is dialled here.
- name: LEDGERMQ_TLS_SERVER_NAME
  value: {{ include "ledgermq.clients" . }}
{{- end }}

{{/* Who the command line is, in a pod that has the secret. */}}
{{- define "ledgermq.accessEnv" -}}
- name: LEDGERMQ_ACCESS_KEY
  value: admin
- name: LEDGERMQ_SECRET_KEY_FILE
  value: /etc/ledgermq/access/admin-secret
{{- end }}

{{- define "ledgermq.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
# A volume of many gigabytes is not gone through at every start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "ledgermq.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
