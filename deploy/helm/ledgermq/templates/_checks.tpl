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
{{- if and .Values.tls.secretName .Values.tls.certManager.enabled -}}
{{- fail "\n\ntls.secretName and tls.certManager.enabled are both set: cert-manager would write into a secret that is yours. Set one of them." -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) -}}
{{- fail "\n\ntls.certManager.enabled needs tls.certManager.issuerRef.name: the Issuer or ClusterIssuer that signs the certificate." -}}
{{- end -}}
{{- if and .Values.scheduling.affinity.podAntiAffinity (ne .Values.scheduling.antiAffinity "none") -}}
{{- fail (printf "\n\nscheduling.affinity.podAntiAffinity is set, and so is scheduling.antiAffinity (%s): set that to none and say both there." .Values.scheduling.antiAffinity) -}}
{{- end -}}
{{- $grace := int .Values.terminationGracePeriodSeconds -}}
{{- $least := add (int .Values.drainSeconds) 25 -}}
{{- if lt $grace (int $least) -}}
{{- fail (printf "\n\nterminationGracePeriodSeconds is %d: a pod needs drainSeconds (%d) and 20 s after SIGTERM, with some room. Set at least %d." $grace (int .Values.drainSeconds) (int $least)) -}}
{{- end -}}
{{- end }}
