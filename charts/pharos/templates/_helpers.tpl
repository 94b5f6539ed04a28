{{- define "pharos.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "pharos.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "pharos.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "pharos.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "pharos.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{- /* Labels of every object. Takes (list root component). */ -}}
{{- define "pharos.labels" -}}
{{- $root := index . 0 -}}
{{ include "pharos.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "pharos.name" $root }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") }}
release: {{ $root.Release.Name | quote }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Labels by which services and workloads find their pods. Takes (list root component). */ -}}
{{- define "pharos.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "pharos.name" $root }}-{{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* Name of a component's service account. Takes (list root component values). */ -}}
{{- define "pharos.serviceAccount" -}}
{{- $account := (index . 2).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "pharos.fullname" (index . 0)) (index . 1)) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end }}

{{- /* An image reference. Takes (list root image); what the image does not say is taken from the chart's. */ -}}
{{- define "pharos.imageReference" -}}
{{- $root := index . 0 -}}
{{- $own := index . 1 -}}
{{- $common := $root.Values.image -}}
{{- $repository := $own.repository | default $common.repository -}}
{{- $registry := $root.Values.global.imageRegistry | default $own.registry -}}
{{- if and (not $registry) (not $own.repository) -}}{{- $registry = $common.registry -}}{{- end -}}
{{- $tag := $own.tag -}}
{{- if and (not $tag) (not $own.repository) -}}{{- $tag = $common.tag | default $root.Chart.AppVersion -}}{{- end -}}
{{- $sha := $own.sha -}}
{{- if and (not $sha) (not $own.tag) (not $own.repository) -}}{{- $sha = $common.sha -}}{{- end -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $repository }}{{ with $tag }}:{{ . }}{{ end }}{{ with $sha }}@sha256:{{ . }}{{ end }}
{{- end }}

{{- define "pharos.imagePullSecrets" -}}
{{- with .Values.global.imagePullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The part of an endpoint that every ServiceMonitor's values may set. Takes the serviceMonitor values. */ -}}
{{- define "pharos.endpointExtras" -}}
{{- with .interval -}}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
