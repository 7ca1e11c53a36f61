{{- /* The environment by which agent and operator find the API server without kube-proxy. */ -}}
{{- define "cilium.apiServer" -}}
{{- if .Values.k8sServiceHost -}}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .Values.k8sServiceHost | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .Values.k8sServicePort | quote }}
{{- end }}
{{- end -}}

{{- /* A changed ConfigMap changes the pod template and causes a rollout. */ -}}
{{- define "cilium.configChecksum" -}}
cilium.io/cilium-configmap-checksum: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum | quote }}
{{- end -}}
