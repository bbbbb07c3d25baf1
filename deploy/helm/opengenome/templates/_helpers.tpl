{{- define "opengenome.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of a priority class: dict root, of. Such classes belong to the whole cluster, so the namespace is in it, which
has no point. A class keeps its value for life, so the value is in it too. */}}
{{- define "opengenome.priorityClass" -}}
{{ .root.Release.Namespace }}.{{ include "opengenome.fullname" .root }}-{{ .of }}-{{ index .root.Values.priorityClasses .of | int }}
{{- end -}}

{{- define "opengenome.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "opengenome.labels" -}}
{{ include "opengenome.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "opengenome.image" -}}
{{ .Values.image.repository }}:{{ default (printf "%s-kubernetes" .Chart.AppVersion) .Values.image.tag }}
{{- end -}}

{{- define "opengenome.serviceAccountName" -}}
{{- default (include "opengenome.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "opengenome.postgresqlSecretName" -}}
{{- default (printf "%s-postgresql" (include "opengenome.fullname" .)) .Values.global.postgresqlSecretName -}}
{{- end -}}

{{- define "opengenome.postgresqlHost" -}}
{{- if .Values.postgresql.enabled -}}{{ include "opengenome.fullname" . }}-postgresql
{{- else -}}{{ required "postgresql.postgresqlHost: the address of your database, as postgresql.enabled is false" .Values.postgresql.postgresqlHost }}
{{- end -}}
{{- end -}}

{{/* Restricted, as the standard of pod security asks. */}}
{{- define "opengenome.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "opengenome.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Volumes and mounts of every pod of the image. */}}
{{- define "opengenome.volumes" -}}
- name: data
  {{- if .Values.home.volume.enabled }}
  persistentVolumeClaim: {claimName: {{ default (include "opengenome.fullname" .) .Values.home.volume.existingClaim }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
- {name: tmp, emptyDir: {}}
- {name: cache, emptyDir: {}}
- {name: run, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
- name: dagster
  configMap: {name: {{ include "opengenome.fullname" . }}-instance}
- name: spark
  configMap: {name: {{ include "opengenome.fullname" . }}-spark}
{{- end -}}

{{- define "opengenome.volumeMounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
- {name: cache, mountPath: /var/cache/opengenome}
- {name: run, mountPath: /run/opengenome}
- {name: dagster, mountPath: /opt/opengenome/dagster/kubernetes}
- {name: spark, mountPath: /etc/opengenome/spark}
{{- end -}}

{{- define "opengenome.envFrom" -}}
- configMapRef: {name: {{ include "opengenome.fullname" . }}-settings}
{{- range .Values.envSecrets }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}

{{- define "opengenome.env" -}}
- name: DAGSTER_PG_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "opengenome.postgresqlSecretName" . }}, key: postgresql-password}}
{{- end -}}

{{/* The first part of a pod: dict root, component, priority, and the values of its service. */}}
{{- define "opengenome.pod" -}}
serviceAccountName: {{ include "opengenome.serviceAccountName" .root }}
automountServiceAccountToken: {{ .api }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .root.Values.priorityClasses.enabled }}
priorityClassName: {{ include "opengenome.priorityClass" (dict "root" .root "of" "services") }}
{{- end }}
securityContext: {{- include "opengenome.podSecurityContext" .root | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
