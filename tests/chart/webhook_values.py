"""Values of the webhook, each another than its default: for the tests of the chart, and for the API server's."""

from .rendering import Values

LEAST: Values = {"enabled": True, "url": "https://mirror.example.com/webhook", "secretName": "github-webhook"}

EVERYTHING: Values = {
    "enabled": True,
    "url": "https://mirror.example.com/hooks/github",
    "secretName": "github-webhook",
    "path": "/github",
    "replicas": 3,
    "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 12, "targetCPU": 50},
    "rateLimitPerMinute": 2_000_000,
    "maxConnections": 50,
    "allowGitHubOnly": True,
    "gitHubMetaURL": "https://github.example.com/api/v3/meta",
    "trustedProxies": ["10.0.0.0/8", "fd00::/8"],
    "tls": {"secretName": "certificate"},
    "logFormat": "console",
    "logLevel": "debug",
    "resources": {"requests": {"cpu": "250m", "memory": "200Mi"}, "limits": {"memory": "300Mi"}},
    "service": {
        "type": "LoadBalancer",
        "port": 443,
        "annotations": {"example.com/balancer": "public"},
        "externalTrafficPolicy": "Local",
    },
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "mirror.example.com",
        "path": "/hooks/github",
        "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
        "tls": {"secretName": "ingress-certificate"},
    },
    "podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}],
        "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
        "apiServer": {"ports": [6443], "cidrs": ["10.1.2.3/32"]},
    },
    "admissionPolicy": {"enabled": True},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "podAnnotations": {"example.com/a": "b"},
    "podLabels": {"team": "a"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "high",
}
