{{/*
What the schema cannot say. All of it is told at once, by the name of the value, as the bot does with its variables.
Each problem is a line. No value is repeated: it may be a secret in the wrong place.
*/}}
{{- define "bot.wrong" -}}
{{- $wrong := list }}
{{- $config := .Values.config }}
{{- $secrets := .Values.secrets }}
{{- if not $config.SLACK_APPROVALS_CHANNEL }}
{{- $wrong = append $wrong "config.SLACK_APPROVALS_CHANNEL is not set: copy the channel ID at the bottom of the channel's details in Slack" }}
{{- end }}
{{- if not $config.SLACK_APPROVERS }}
{{- $wrong = append $wrong "config.SLACK_APPROVERS is empty: list the IDs of users (U…, W…) and user groups (S…) who may approve" }}
{{- end }}

{{- $account := or $config.MONGODB_ATLAS_CLIENT_ID (hasKey $secrets.from "MONGODB_ATLAS_CLIENT_ID") }}
{{- $key := or $config.MONGODB_ATLAS_PUBLIC_API_KEY (hasKey $secrets.from "MONGODB_ATLAS_PUBLIC_API_KEY") }}
{{- if and $account $key }}
{{- $wrong = append $wrong "MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_PUBLIC_API_KEY are both set: remove one of the two" }}
{{- else if not (or $account $key) }}
{{- $wrong = append $wrong "config.MONGODB_ATLAS_CLIENT_ID is not set: make a service account in Atlas, or set config.MONGODB_ATLAS_PUBLIC_API_KEY; if the ID is in a Secret, say so in secrets.from" }}
{{- end }}
{{- range $name := list "MONGODB_ATLAS_CLIENT_ID" "MONGODB_ATLAS_PUBLIC_API_KEY" }}
{{- if and (index $config $name) (hasKey $secrets.from $name) }}
{{- $wrong = append $wrong (printf "config.%s and secrets.from.%s are both set: remove one of them" $name $name) }}
{{- end }}
{{- end }}

{{- $needed := include "bot.credentials" . | fromJson }}
{{- range $name, $_ := $needed }}
{{- if not (or $secrets.existing (hasKey $secrets.from $name) (index $secrets.values $name)) }}
{{- $wrong = append $wrong (printf "%s is nowhere: name a Secret that holds it in secrets.existing or secrets.from, or set secrets.values.%s" $name $name) }}
{{- end }}
{{- end }}
{{- range $name, $value := $secrets.values }}
{{- if and $value (or $secrets.existing (hasKey $secrets.from $name)) }}
{{- $wrong = append $wrong (printf "secrets.values.%s is set, but it is read from a Secret of yours: remove one of them" $name) }}
{{- else if and $value (not (hasKey $needed $name)) }}
{{- $wrong = append $wrong (printf "secrets.values.%s is set, but nothing would read it" $name) }}
{{- end }}
{{- end }}
{{- range $name, $_ := $secrets.from }}
{{- if not (or (hasKey $needed $name) (has $name (list "MONGODB_ATLAS_CLIENT_ID" "MONGODB_ATLAS_PUBLIC_API_KEY"))) }}
{{- $wrong = append $wrong (printf "secrets.from.%s is set, but nothing would read it" $name) }}
{{- end }}
{{- end }}

{{- range .Values.extraEnv }}
{{- $base := trimSuffix "_FILE" .name }}
{{- if or (hasKey $config $base) (has $base (list "HTTP_ADDR" "POLICY" "SLACK_APP_TOKEN" "SLACK_BOT_TOKEN" "MONGODB_ATLAS_CLIENT_SECRET" "MONGODB_ATLAS_PRIVATE_API_KEY" "REDIS_URL" "SEALING_KEYSET")) }}
{{- $wrong = append $wrong (printf "extraEnv names %s, which the chart sets: use config, policy, secrets or port" .name) }}
{{- end }}
{{- end }}

{{- range .Values.extraVolumes }}
{{- if has .name (list "secrets" "policy") }}
{{- $wrong = append $wrong (printf "extraVolumes names %s, which is a volume of the chart: choose another name" .name) }}
{{- end }}
{{- end }}
{{- if and .Values.redis.enabled (not .Values.redis.image.tag) (not .Values.redis.image.digest) }}
{{- $wrong = append $wrong "redis.image.tag is empty: name a version of Redis, or a digest" }}
{{- end }}

{{- if gt (mul (include "bot.counting" .) $config.SLACK_CONNECTIONS) 10 }}
{{- $wrong = append $wrong (printf "replicaCount × config.SLACK_CONNECTIONS is %d × %d, and Slack allows an app ten connections: in an update those of %s replicas can count; of each of two or three replicas take two, of more one" (int .Values.replicaCount) (int $config.SLACK_CONNECTIONS) (include "bot.counting" .)) }}
{{- end }}
{{- join "\n" $wrong }}
{{- end }}
