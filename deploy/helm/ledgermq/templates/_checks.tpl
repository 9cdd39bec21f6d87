{{/* What a schema cannot say, or not in a sentence. Included once, by the StatefulSet. */}}
{{- define "ledgermq.checks" -}}
{{- $replicas := int .Values.replicas -}}
{{- $seeds := int .Values.cluster.seedReplicas -}}
{{- if eq $replicas 2 -}}
{{- fail "\n\nreplicas is 2: of two nodes neither may fail, so that two are worse than one. Set 1, or 3 and more." -}}
{{- end -}}
{{- if and .Release.IsInstall (gt $seeds $replicas) -}}
{{- fail (printf "\n\nreplicas is %d, but %d pods are to form the cluster (cluster.seedReplicas): it would wait for them for ever. Set cluster.seedReplicas=%d now, and leave it so when nodes are added." $replicas $seeds $replicas) -}}
{{- end -}}
{{- if .Release.IsUpgrade -}}
{{- $installed := lookup "v1" "ConfigMap" .Release.Namespace (include "ledgermq.fullname" .) -}}
{{- $before := dig "metadata" "annotations" "ledgermq.io/seed-replicas" "" $installed -}}
{{- if and $before (ne $before (toString $seeds)) -}}
{{- fail (printf "\n\ncluster.seedReplicas is %d, but this cluster was formed with %s: it says who formed the cluster, and never changes. Set cluster.seedReplicas=%s; the number of nodes is `replicas`." $seeds $before $before) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.access.clientAuthority (not .Values.access.secretName) -}}
{{- fail "\n\naccess.clientAuthority names an entry of the secret access.secretName, and that is not set." -}}
{{- end -}}
{{- if and .Values.tls.secretName .Values.tls.certManager.enabled -}}
{{- fail "\n\ntls.secretName and tls.certManager.enabled are both set: cert-manager would write into a secret that is yours. Set one of them." -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) -}}
{{- fail "\n\ntls.certManager.enabled needs tls.certManager.issuerRef.name: the Issuer or ClusterIssuer that signs the certificate." -}}
{{- end -}}
{{- if and .Values.peerTls.secretName .Values.peerTls.certManager.enabled -}}
{{- fail "\n\npeerTls.secretName and peerTls.certManager.enabled are both set: cert-manager would write into a secret that is yours. Set one of them." -}}
{{- end -}}
{{- if and .Values.peerTls.certManager.enabled (not .Values.peerTls.certManager.issuerRef.name) -}}
{{- fail "\n\npeerTls.certManager.enabled needs peerTls.certManager.issuerRef.name: an Issuer that signs nothing but certificates of these nodes." -}}
{{- end -}}
{{- if and .Values.scheduling.affinity.podAntiAffinity (ne .Values.scheduling.antiAffinity "none") -}}
{{- fail (printf "\n\nscheduling.affinity.podAntiAffinity is set, and so is scheduling.antiAffinity (%s): set that to none and say both there." .Values.scheduling.antiAffinity) -}}
{{- end -}}
{{- $grace := int .Values.terminationGracePeriodSeconds -}}
{{- $least := add (int .Values.drainSeconds) 25 -}}
{{- if lt $grace (int $least) -}}
{{- fail (printf "\n\nterminationGracePeriodSeconds is %d: a pod needs drainSeconds (%d) and 20 s after SIGTERM, with some room. Set at least %d." $grace (int .Values.drainSeconds) (int $least)) -}}
{{- end -}}
{{- if and (include "ledgermq.peerTlsSecret" .) (has "peers" .Values.insecure) -}}
{{- fail "\n\ninsecure names peers, but peerTls is set: nodes speak TLS among themselves, or they do not. Leave one of them out." -}}
{{- end -}}
{{- include "ledgermq.protected" . -}}
{{- if and .Values.monitoring.serviceMonitor.enabled (include "ledgermq.accessEnabled" .) (not .Values.monitoring.serviceMonitor.basicAuthSecretName) -}}
{{- fail "\n\nmonitoring.serviceMonitor.enabled needs monitoring.serviceMonitor.basicAuthSecretName where access is controlled: Prometheus would be answered 401. A secret with the entries username and password: a user and its secret, who may get the cluster (docs/operations.md)." -}}
{{- end -}}
{{- end }}

{{/* What the nodes refuse as well: ports that the network reaches, without what protects them. All of it in one message. */}}
{{- define "ledgermq.protected" -}}
{{- $missing := list -}}
{{- $insecure := default list .Values.insecure -}}
{{- if and (include "ledgermq.tlsOnly" .) (not (include "ledgermq.tlsSecret" .)) -}}
{{- $insecure = append $insecure "plaintext" -}}
{{- $missing = append $missing "no certificate that clients could check: what they send could be read on the way. Set tls.secretName or tls.certManager" -}}
{{- end -}}
{{- if not (or .Values.access.secretName (has "access" .Values.insecure)) -}}
{{- $insecure = append $insecure "access" -}}
{{- $missing = append $missing "no access control: whoever reaches the port for clients may do everything. Set access.secretName" -}}
{{- end -}}
{{- if not (or (include "ledgermq.peerTlsSecret" .) (has "peers" .Values.insecure)) -}}
{{- $insecure = append $insecure "peers" -}}
{{- $missing = append $missing "no certificates between the nodes: whoever reaches their port reads and writes everything. Set peerTls.secretName or peerTls.certManager" -}}
{{- end -}}
{{- if $missing -}}
{{- fail (printf "\n\nThe network would reach what nothing protects:\n  - %s.\ndocs/operations.md says how. If everybody on the network is trusted, say so: --set 'insecure={%s}'" (join ".\n  - " $missing) (join "," $insecure)) -}}
{{- end -}}
{{- end }}
