{{- /* The selector of one component: (dict "root" $ "component" "webhook" "name" "webhook"). */ -}}
{{- define "cert-manager.selector" -}}
app.kubernetes.io/component: {{ .component | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/name: {{ .name }}
{{- end -}}

{{- define "cert-manager.labels" -}}
{{ include "cert-manager.selector" . }}
app: {{ .name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}
