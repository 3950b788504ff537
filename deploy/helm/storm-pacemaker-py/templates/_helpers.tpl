{{/* Short enough for the label of a StatefulSet's revision: 63 with 11 of its own. */}}
{{- define "pacemaker.name" -}}
{{ .Release.Name | trunc 41 | trimSuffix "-" }}-pacemaker
{{- end }}

{{- define "relay.name" -}}
{{ include "pacemaker.name" . }}-relay
{{- end }}

{{/* All pods of this release: Pacemakers and relays. */}}
{{- define "pacemaker.release" -}}
app.kubernetes.io/name: storm-pacemaker-py
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pacemaker.selector" -}}
{{ include "pacemaker.release" . }}
app.kubernetes.io/component: pacemaker
{{- end }}

{{- define "relay.selector" -}}
{{ include "pacemaker.release" . }}
app.kubernetes.io/component: relay
{{- end }}

{{- define "pacemaker.labels" -}}
{{ include "pacemaker.selector" . }}
{{ include "pacemaker.commonLabels" . }}
{{- end }}

{{- define "relay.labels" -}}
{{ include "relay.selector" . }}
{{ include "pacemaker.commonLabels" . }}
{{- end }}

{{- define "pacemaker.commonLabels" -}}
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

{{/* The one server of Storm's clients: the Service that leads to the relay of the node. */}}
{{- define "relay.servers" -}}
{{- list (printf "%s.%s.svc" (include "relay.name" .) .Release.Namespace) | toJson -}}
{{- end }}

{{/* What Nimbus, the supervisors and the workers write into pacemaker.servers. */}}
{{- define "storm.servers" -}}
{{- if .Values.relay.enabled -}}
{{- include "relay.servers" . -}}
{{- else -}}
{{- include "pacemaker.servers" . -}}
{{- end -}}
{{- end }}

{{- define "relay.stormYaml" -}}
{{- $fixed := dict "pacemaker.servers" (include "relay.servers" . | fromJsonArray) "pacemaker.relay.servers" (include "pacemaker.servers" . | fromJsonArray) "pacemaker.port" (int .Values.port) -}}
{{- toYaml (merge $fixed .Values.stormYaml) -}}
{{- end }}

{{- define "pacemaker.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "pacemaker.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pacemaker.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Pacemakers and relays are asked the same way. */}}
{{- define "pacemaker.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}

{{/* Who may come in; the arguments are the clients and the monitoring. */}}
{{- define "pacemaker.ingress" -}}
{{- $clients := index . 0 -}}
{{- $monitoring := index . 1 -}}
policyTypes: [Ingress]
# An empty list would let everybody in; without clients nobody may.
ingress:
  {{- if $clients }}
  - from:
      {{- toYaml $clients | nindent 6 }}
    ports:
      - {port: pacemaker, protocol: TCP}
  {{- end }}
  {{- if $monitoring }}
  - from:
      {{- toYaml $monitoring | nindent 6 }}
    ports:
      - {port: admin, protocol: TCP}
  {{- end }}
  {{- if not (or $clients $monitoring) }}
  []
  {{- end }}
{{- end }}
