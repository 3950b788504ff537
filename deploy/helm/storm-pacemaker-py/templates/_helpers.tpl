{{- define "pacemaker.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}-pacemaker
{{- end }}

{{- define "pacemaker.selector" -}}
app.kubernetes.io/name: storm-pacemaker-py
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pacemaker.labels" -}}
{{ include "pacemaker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The pods' own names, which Storm's storm.yaml has to list too. */}}
{{- define "pacemaker.servers" -}}
{{- $name := include "pacemaker.name" . -}}
{{- $servers := list -}}
{{- range $number := until (int .Values.replicas) -}}
{{- $servers = append $servers (printf "%s-%d.%s.%s.svc" $name $number $name $.Release.Namespace) -}}
{{- end -}}
{{- toJson $servers -}}
{{- end }}

{{- define "pacemaker.stormYaml" -}}
{{- $fixed := dict "pacemaker.servers" (include "pacemaker.servers" . | fromJsonArray) "pacemaker.port" (int .Values.port) -}}
{{- toYaml (merge $fixed .Values.stormYaml) -}}
{{- end }}
