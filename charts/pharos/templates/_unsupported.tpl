{{- /*
Which values would have no effect: lines of paths. files/supported.yaml has the shape of the values: `true` says that a key
works with all below it. A key that is not there counts only when it asks for something: empty values, false, and whatever
stands beside `enabled: false` ask for nothing. Takes (dict values supported path).
*/ -}}
{{- define "pharos.unsupported" -}}
{{- $supported := .supported -}}
{{- $prefix := .path -}}
{{- range $key, $value := .values -}}
{{- $path := $key -}}
{{- if $prefix }}{{ $path = printf "%s.%s" $prefix $key }}{{ end -}}
{{- if hasKey $supported $key -}}
{{- $known := index $supported $key -}}
{{- if and (kindIs "map" $known) (kindIs "map" $value) -}}
{{- include "pharos.unsupported" (dict "values" $value "supported" $known "path" $path) -}}
{{- end -}}
{{- else if kindIs "map" $value -}}
{{- if not (and (hasKey $value "enabled") (not $value.enabled)) -}}
{{- include "pharos.unsupported" (dict "values" $value "supported" dict "path" $path) -}}
{{- end -}}
{{- else if $value -}}
{{ $path }}{{ "\n" }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The same for this install. */ -}}
{{- define "pharos.unsupportedHere" -}}
{{- include "pharos.unsupported" (dict "values" .Values "supported" (.Files.Get "files/supported.yaml" | fromYaml) "path" "") -}}
{{- end }}

{{- /* Stops the install over them, unless told to report. */ -}}
{{- define "pharos.checkValues" -}}
{{- if not (has .Values.unsupportedValues (list "fail" "report")) -}}
{{- fail (printf "unsupportedValues must be fail or report, not %q" .Values.unsupportedValues) -}}
{{- end -}}
{{- $unsupported := include "pharos.unsupportedHere" . -}}
{{- if and $unsupported (eq .Values.unsupportedValues "fail") -}}
{{- fail (printf "\n\nThese values have no effect in Pharos:\n\n  %s\n\nRemove them, or install with --set unsupportedValues=report to go on without them.\n" ($unsupported | trim | replace "\n" "\n  ")) -}}
{{- end -}}
{{- end }}
