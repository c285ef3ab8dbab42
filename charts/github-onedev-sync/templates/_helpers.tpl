{{- define "name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Room for the longest suffix, "-controller", within the 63 characters of a label. */ -}}
{{- define "fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "controllerName" -}}
{{ include "fullname" . }}-controller
{{- end }}

{{- define "workerName" -}}
{{ include "fullname" . }}-worker
{{- end }}

{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
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
