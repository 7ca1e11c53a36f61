{{- define "spegel.selector" -}}
app.kubernetes.io/name: spegel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "spegel.labels" -}}
{{ include "spegel.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
