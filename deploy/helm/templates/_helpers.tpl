{{- define "bot.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Short enough that "-redis-0" still fits into the 63 characters of a name. */}}
{{- define "bot.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "bot.name" .) .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "bot.name" .) | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* What selects the pods of a component never changes: a Deployment's selector cannot. */}}
{{- define "bot.selector" -}}
app.kubernetes.io/name: {{ include "bot.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "bot.labels" -}}
{{ include "bot.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "bot.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "bot.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "bot.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .version .image.tag }}
{{- end -}}
{{- end }}

{{/* What the Pod Security level "restricted" asks of a pod, and of a container. */}}
{{- define "bot.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "bot.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
{{- end }}

{{/*
Where each credential is: JSON of VARIABLE -> {name, key} of a Secret. Of the two Atlas pairs, the one whose first half
is known: the bot wants exactly one.
*/}}
{{- define "bot.credentials" -}}
{{- $names := list "SLACK_APP_TOKEN" "SLACK_BOT_TOKEN" "SEALING_KEYSET" }}
{{- if not .Values.redis.enabled }}{{ $names = append $names "REDIS_URL" }}{{ end }}
{{- $pairs := dict
  "MONGODB_ATLAS_CLIENT_ID" "MONGODB_ATLAS_CLIENT_SECRET"
  "MONGODB_ATLAS_PUBLIC_API_KEY" "MONGODB_ATLAS_PRIVATE_API_KEY" }}
{{- range $id, $secret := $pairs }}
{{- if or (index $.Values.config $id) (hasKey $.Values.secrets.from $id) }}{{ $names = append $names $secret }}{{ end }}
{{- end }}
{{- $found := dict }}
{{- $all := default (include "bot.fullname" .) .Values.secrets.existing }}
{{- range $name := $names }}
{{- $at := default dict (index $.Values.secrets.from $name) }}
{{- $_ := set $found $name (dict "name" (default $all $at.name) "key" (default $name $at.key)) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/*
How many replicas' connections to Slack can count at a time: those that run, one that was told to end while its successor
begins, and one more while another renews its own. A single replica renews none while it is replaced.
*/}}
{{- define "bot.counting" -}}
{{ add .Values.replicaCount (min .Values.replicaCount 2) }}
{{- end }}

{{- define "bot.secretsPath" }}/run/secrets/atlas-integration-bot{{ end }}

{{- define "bot.policyPath" }}/etc/atlas-integration-bot{{ end }}

{{/* The environment of the bot, which is also that of its check. */}}
{{- define "bot.env" -}}
- name: HTTP_ADDR
  value: {{ printf ":%v" .Values.port | quote }}
{{- range $name, $value := .Values.config }}
{{- if $value }}
- name: {{ $name }}
  {{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
  {{- else if kindIs "map" $value }}
  {{- $pairs := list }}
  {{- range $key, $id := $value }}{{ $pairs = append $pairs (printf "%s:%s" $key $id) }}{{ end }}
  value: {{ join "," $pairs | quote }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- range $name := list "MONGODB_ATLAS_CLIENT_ID" "MONGODB_ATLAS_PUBLIC_API_KEY" }}
{{- with index $.Values.secrets.from $name }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ default $name .key }}
{{- end }}
{{- end }}
{{- if .Values.policy.rules }}
- name: POLICY_FILE
  value: {{ include "bot.policyPath" . }}/policy.yaml
{{- end }}
{{- if .Values.redis.enabled }}
- name: REDIS_URL
  value: redis://{{ include "bot.fullname" . }}-redis:6379/0
{{- end }}
{{- range $name, $_ := include "bot.credentials" . | fromJson }}
- name: {{ $name }}_FILE
  value: {{ include "bot.secretsPath" $ }}/{{ $name }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "bot.volumeMounts" -}}
- name: secrets
  mountPath: {{ include "bot.secretsPath" . }}
  readOnly: true
{{- if .Values.policy.rules }}
- name: policy
  mountPath: {{ include "bot.policyPath" . }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "bot.volumes" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $at := include "bot.credentials" . | fromJson }}
      - secret:
          name: {{ $at.name }}
          items:
            - key: {{ $at.key }}
              path: {{ $name }}
      {{- end }}
{{- if .Values.policy.rules }}
- name: policy
  configMap:
    name: {{ include "bot.fullname" . }}-policy
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the pods go, and with what; the check goes where the bot goes. */}}
{{- define "bot.placement" -}}
serviceAccountName: {{ include "bot.serviceAccountName" . }}
automountServiceAccountToken: false
# A Service named "redis" would otherwise put REDIS_PORT and the like into the environment.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
