{{- define "coredns.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/name: coredns
k8s-app: {{ .Values.k8sAppLabelOverride }}
{{- end -}}

{{- define "coredns.labels" -}}
{{ include "coredns.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
kubernetes.io/cluster-service: "true"
kubernetes.io/name: CoreDNS
{{- end -}}

{{- define "coredns.corefile" -}}
{{- range .Values.servers }}
{{- range .zones }}{{ .zone }}{{ end }}:{{ .port }} {
{{- range .plugins }}
    {{ .name }}{{ with .parameters }} {{ . }}{{ end }}{{ with .configBlock }} {
{{ . | indent 8 }}
    }{{ end }}
{{- end }}
}
{{ end }}
{{- end -}}
