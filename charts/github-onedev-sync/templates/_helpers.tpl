{{- define "name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Room for the longest suffix, "-webhook-admin", within the 63 characters of a label. */ -}}
{{- define "fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 49 | trimSuffix "-" }}
{{- end }}

{{- define "controllerName" -}}
{{ include "fullname" . }}-controller
{{- end }}

{{- define "workerName" -}}
{{ include "fullname" . }}-worker
{{- end }}

{{- define "webhookName" -}}
{{ include "fullname" . }}-webhook
{{- end }}

{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "webhookSelectorLabels" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "labels" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: github-onedev-sync
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- /* The account must exist wherever a mirror is; over all namespaces only "default" does. */ -}}
{{- define "workerServiceAccount" -}}
{{- $own := ternary (include "workerName" .) "default" (gt (len .Values.watchNamespaces) 0) -}}
{{- default $own .Values.worker.serviceAccountName }}
{{- end }}

{{- /* What the controller may do where the resources are, and nothing beyond. */ -}}
{{- define "controllerRules" -}}
- apiGroups: [github-onedev-sync.io]
  resources: [onedevservers, starredrepossyncs, ownedrepossyncs]
  verbs: [get, list, watch, patch]
# Syncs make mirrors, and delete those that they made.
- apiGroups: [github-onedev-sync.io]
  resources: [repositorymirrors]
  verbs: [get, list, watch, patch, create, delete]
- apiGroups: [github-onedev-sync.io]
  resources: [onedevservers/status, repositorymirrors/status, starredrepossyncs/status, ownedrepossyncs/status]
  verbs: [patch]
# Jobs are owned by their mirror, and mirrors by their sync; clusters that enforce it ask for this.
- apiGroups: [github-onedev-sync.io]
  resources: [onedevservers/finalizers, repositorymirrors/finalizers, starredrepossyncs/finalizers, ownedrepossyncs/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# Read by the names that specs give, never listed; created for a GitHub App's short-lived tokens.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /* What the webhook pod may do where the resources are: read syncs, and make mirrors or ask them to look. No Secrets. */ -}}
{{- define "webhookRules" -}}
- apiGroups: [github-onedev-sync.io]
  resources: [starredrepossyncs, ownedrepossyncs]
  verbs: [get, list]
- apiGroups: [github-onedev-sync.io]
  resources: [repositorymirrors]
  verbs: [get, list, create, patch]
{{- end }}

{{- /* `rules` for the service account `name`: a Role in each of watchNamespaces, or one ClusterRole. */ -}}
{{- define "rights" -}}
{{- $labels := include "labels" .root }}
{{- $namespaces := .root.Values.watchNamespaces }}
{{- range default (list "") $namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if . }}Role{{ else }}ClusterRole{{ end }}
metadata:
  name: {{ $.name }}
  {{- with . }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- $.rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if . }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
metadata:
  name: {{ $.name }}
  {{- with . }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ if . }}Role{{ else }}ClusterRole{{ end }}
  name: {{ $.name }}
subjects:
  - kind: ServiceAccount
    name: {{ $.name }}
    namespace: {{ $.root.Release.Namespace }}
{{- end }}
{{- end }}

{{- /* Refuses what no pod could start with, or what would be there without effect. */ -}}
{{- define "checkWebhook" -}}
{{- with .Values.webhook }}
{{- if not .secretName }}
{{- fail "webhook.secretName is needed: the Secret whose key \"secret\" is the one that GitHub signs with" }}
{{- end }}
{{- if not .url }}
{{- fail "webhook.url is needed: the public address that GitHub delivers to, such as https://mirror.example.com/webhook" }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.host) }}
{{- fail "webhook.ingress.host is needed where webhook.ingress.enabled is true, such as mirror.example.com" }}
{{- end }}
{{- if and .autoscaling.enabled (not (dig "requests" "cpu" "" .resources)) }}
{{- fail "webhook.resources.requests.cpu is needed where webhook.autoscaling.enabled is true: targetCPU is a share of it" }}
{{- end }}
{{- if and .autoscaling.enabled (gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) }}
{{- fail "webhook.autoscaling.minReplicas must be at most maxReplicas" }}
{{- end }}
{{- if and .networkPolicy.enabled $.Values.serviceMonitor.enabled (not .networkPolicy.metricsFrom) }}
{{- fail "webhook.networkPolicy.metricsFrom is needed where serviceMonitor.enabled is true: it says where Prometheus is" }}
{{- end }}
{{- end }}
{{- end }}
