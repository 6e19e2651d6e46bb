{{- define "earshot.name" -}}
{{- ternary .Release.Name (printf "%s-earshot" .Release.Name) (contains "earshot" .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "earshot.selector" -}}
app.kubernetes.io/name: earshot
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "earshot.labels" -}}
{{ include "earshot.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* A number as the service reads it: large ones come as floats, which would be written 1e+06. */}}
{{- define "earshot.value" -}}
{{- if kindIs "string" . }}{{ quote . }}{{ else }}{{ toJson . | quote }}{{ end -}}
{{- end -}}

{{/* Seconds that the service takes to drain its longest recording. */}}
{{- define "earshot.drain" -}}
{{- $given := .Values.settings -}}
{{- $each := mulf (dig "drain_per_second" 0.02 $given) (dig "max_seconds" 7200 $given) -}}
{{- addf (dig "drain_s" 30 $given) $each | ceil | int64 -}}
{{- end -}}

{{/* Seconds for which a proxy must bear a silent answer, or a silent live session. */}}
{{- define "earshot.patience" -}}
{{- $silent := dig "live_idle_s" 60 .Values.settings | ceil | int64 -}}
{{- max 300 (add 60 (include "earshot.drain" . | int64)) (add 60 $silent) -}}
{{- end -}}

{{/* MiB of the largest body, and some more: the service refuses with its own sentence. */}}
{{- define "earshot.body" -}}
{{- $largest := dig "max_upload_bytes" 26214400 .Values.settings -}}
{{- if .Values.jobs.enabled -}}
{{- $largest = maxf $largest (dig "jobs_max_upload_bytes" 1073741824 .Values.settings) -}}
{{- end -}}
{{- divf $largest 1048576 | ceil | int64 | add 7 -}}
{{- end -}}

{{/* "true" where replicas share their jobs. */}}
{{- define "earshot.shared" -}}
{{- if and .Values.jobs.enabled (hasKey .Values.secretSettings "jobs_url") }}true{{ end -}}
{{- end -}}

{{/* "true" where jobs are in a volume that outlives the pod. */}}
{{- define "earshot.volume" -}}
{{- if and .Values.jobs.enabled (not .Values.jobs.uploads) }}true{{ end -}}
{{- end -}}

{{/* What cannot be. */}}
{{- define "earshot.check" -}}
{{- $values := .Values -}}
{{- if and $values.jobs.enabled (not (include "earshot.shared" .)) -}}
{{- if or $values.autoscaling.by (gt (int $values.replicas) 1) -}}
{{- fail "Jobs of several pods need a database: set secretSettings.jobs_url, or replicas to 1 and no autoscaling." -}}
{{- end -}}
{{- if $values.jobs.uploads -}}
{{- fail "jobs.uploads is for replicas that share a database: set secretSettings.jobs_url, or leave jobs.uploads empty." -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey $values.secretSettings "jobs_url") (not $values.jobs.enabled) -}}
{{- fail "secretSettings.jobs_url needs jobs: set jobs.enabled." -}}
{{- end -}}
{{- if and (eq $values.autoscaling.by "hpa") (eq $values.device "cuda") -}}
{{- fail "autoscaling.by: hpa looks at the CPU, which says nothing of a GPU: use keda." -}}
{{- end -}}
{{- if gt (int $values.autoscaling.min) (int $values.autoscaling.max) -}}
{{- fail "autoscaling.min is above autoscaling.max." -}}
{{- end -}}
{{- if and $values.networkPolicy.enabled (not $values.networkPolicy.egress) (include "earshot.shared" .) -}}
{{- fail "The NetworkPolicy keeps the pods from the database of jobs: let it and DNS through in networkPolicy.egress." -}}
{{- end -}}
{{- end -}}
