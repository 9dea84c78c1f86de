namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>
/// A system as there are many: something of every kind that a backup treats in its own way, but no kind of its own: an API server 1.20 that was compiled
/// by a Go of today ends when it is given a custom object (its reflect2 does not know maps since Go 1.18).
/// </summary>
internal static class SampleSystem
{
    public static async Task CreateAsync(ConfigurationLab lab)
    {
        lab.Own("clusterroles.rbac.authorization.k8s.io", $"reader-{lab.Id}");
        lab.Own("clusterrolebindings.rbac.authorization.k8s.io", $"web-{lab.Id}");
        lab.Own("priorityclasses.scheduling.k8s.io", $"urgent-{lab.Id}");
        lab.Own("ingressclasses.networking.k8s.io", $"nginx-{lab.Id}");
        await lab.CreateAsync(
            """{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"urgent-ID"},"value":1000}""",
            """{"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":"nginx-ID"},"spec":{"controller":"example.com/nginx"}}""",
            """{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"web","namespace":"NS"}}""",
            """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"web","namespace":"NS"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get"]}]}""",
            """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"web","namespace":"NS"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"web"},"subjects":[{"kind":"ServiceAccount","name":"web","namespace":"NS"}]}""",
            """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"reader-ID"},"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}]}""",
            """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"web-ID"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"reader-ID"},"subjects":[{"kind":"ServiceAccount","name":"web","namespace":"NS"}]}""",
            """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"NS","labels":{"app":"web"}},"data":{"app.conf":"listen 80\nname = \"web\"\n","mode":"yes"},"binaryData":{"blob":"AAEC/w=="}}""",
            """{"apiVersion":"v1","kind":"Secret","metadata":{"name":"password","namespace":"NS","labels":{"app":"web"},"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"stringData\":{\"password\":\"hunter2\"}}"}},"type":"Opaque","data":{"password":"aHVudGVyMg=="}}""",
            """{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"limits","namespace":"NS"},"spec":{"limits":[{"type":"Container","default":{"memory":"64Mi"}}]}}""",
            """{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"NS"},"spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":8080}]}}""",
            """{"apiVersion":"v1","kind":"Service","metadata":{"name":"store","namespace":"NS"},"spec":{"clusterIP":"None","selector":{"app":"store"},"ports":[{"name":"data","port":5432}]}}""",
            """{"apiVersion":"v1","kind":"Service","metadata":{"name":"outside","namespace":"NS"},"spec":{"type":"NodePort","selector":{"app":"web"},"ports":[{"name":"any","port":80}]}}""",
            """{"apiVersion":"v1","kind":"Service","metadata":{"name":"elsewhere","namespace":"NS"},"spec":{"ports":[{"port":5432}]}}""",
            """{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"elsewhere","namespace":"NS"},"subsets":[{"addresses":[{"ip":"192.0.2.7"}],"ports":[{"port":5432}]}]}""",
            """
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"NS","labels":{"app":"web"}},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},
            "template":{"metadata":{"labels":{"app":"web"}},"spec":{"serviceAccountName":"web","priorityClassName":"urgent-ID","terminationGracePeriodSeconds":0,
            "containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sleep","100000"],"env":[{"name":"MODE","value":"1"}],"envFrom":[{"secretRef":{"name":"password"}}]}]}}}}
            """,
            """
            {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"store","namespace":"NS"},"spec":{"replicas":1,"serviceName":"store","selector":{"matchLabels":{"app":"store"}},
            "template":{"metadata":{"labels":{"app":"store"}},"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent",
            "command":["sleep","100000"],"volumeMounts":[{"name":"data","mountPath":"/data"}]}]}},
            "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"16Mi"}}}}]}}
            """,
            """
            {"apiVersion":"batch/v1beta1","kind":"CronJob","metadata":{"name":"nightly","namespace":"NS"},"spec":{"schedule":"0 3 1 1 *","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
            "containers":[{"name":"main","image":"busybox:1.35","command":["true"]}]}}}}}}
            """,
            """
            {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"done","namespace":"NS"},"spec":{"template":{"spec":{"restartPolicy":"Never","terminationGracePeriodSeconds":0,
            "containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["true"]}]}}}}
            """,
            """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"alone","namespace":"NS"},"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sleep","100000"]}]}}""",
            """{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"web","namespace":"NS"},"spec":{"minReplicas":2,"maxReplicas":4,"targetCPUUtilizationPercentage":80,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}}}""",
            """{"apiVersion":"policy/v1beta1","kind":"PodDisruptionBudget","metadata":{"name":"web","namespace":"NS"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}}""",
            """{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web","namespace":"NS"},"spec":{"ingressClassName":"nginx-ID","rules":[{"host":"web.example.com","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"web","port":{"number":80}}}}]}}]}}""",
            """{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"web","namespace":"NS"},"spec":{"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"],"ingress":[{"from":[{"podSelector":{}}]}]}}""",
            """{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"quota","namespace":"NS"},"spec":{"hard":{"configmaps":"100"}}}""");
        await lab.Client.CreateAsync(
            await lab.ResourceAsync("secrets"), HelmReleasesTests.Release("web", 3, "deployed", isSecret: true, lab.Namespace), false, default);
        await lab.CreateAsync(
            """{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"check-ID"},"webhooks":[{"name":"check.GROUP","admissionReviewVersions":["v1"],"sideEffects":"None","failurePolicy":"Ignore","timeoutSeconds":1,"rules":[{"apiGroups":["GROUP"],"apiVersions":["*"],"operations":["CREATE"],"resources":["gadgets"]}],"clientConfig":{"service":{"namespace":"NS","name":"web","path":"/check"}}}]}""");
        lab.Own("validatingwebhookconfigurations.admissionregistration.k8s.io", $"check-{lab.Id}");
        await lab.Client.WaitAsync(
            await lab.ResourceAsync("jobs.batch"),
            lab.Namespace,
            "done",
            static job => job?.Raw["status"]?["succeeded"] is not null,
            TimeSpan.FromMinutes(2),
            default);
    }

    /// <summary>The paths of the documents that a backup of it holds; NS, ID and GROUP stand for the lab's own.</summary>
    public static IReadOnlyList<string> Paths { get; } =
    [
        "objects/02-namespaces/namespaces/NS.yaml",
        "objects/03-classes/ingressclasses.networking.k8s.io/nginx-ID.yaml",
        "objects/03-classes/priorityclasses.scheduling.k8s.io/urgent-ID.yaml",
        "objects/03-classes/storageclasses.storage.k8s.io/standard.yaml",
        "objects/05-claims/persistentvolumeclaims/NS/data-store-0.yaml",
        "objects/06-accounts/clusterroles.rbac.authorization.k8s.io/reader-ID.yaml",
        "objects/06-accounts/roles.rbac.authorization.k8s.io/NS/web.yaml",
        "objects/06-accounts/serviceaccounts/NS/default.yaml",
        "objects/06-accounts/serviceaccounts/NS/web.yaml",
        "objects/07-bindings/clusterrolebindings.rbac.authorization.k8s.io/web-ID.yaml",
        "objects/07-bindings/rolebindings.rbac.authorization.k8s.io/NS/web.yaml",
        "objects/08-data/configmaps/NS/settings.yaml",
        "objects/08-data/secrets/NS/password.yaml",
        "objects/08-data/secrets/NS/sh.helm.release.v1.web.v3.yaml",
        "objects/09-limits/limitranges/NS/limits.yaml",
        "objects/10-services/endpoints/NS/elsewhere.yaml",
        "objects/10-services/services/NS/elsewhere.yaml",
        "objects/10-services/services/NS/outside.yaml",
        "objects/10-services/services/NS/store.yaml",
        "objects/10-services/services/NS/web.yaml",
        "objects/11-workloads/cronjobs.batch/NS/nightly.yaml",
        "objects/11-workloads/deployments.apps/NS/web.yaml",
        "objects/11-workloads/pods/NS/alone.yaml",
        "objects/11-workloads/statefulsets.apps/NS/store.yaml",
        "objects/12-policies/horizontalpodautoscalers.autoscaling/NS/web.yaml",
        "objects/12-policies/ingresses.networking.k8s.io/NS/web.yaml",
        "objects/12-policies/networkpolicies.networking.k8s.io/NS/web.yaml",
        "objects/12-policies/poddisruptionbudgets.policy/NS/web.yaml",
        "objects/14-quotas/resourcequotas/NS/quota.yaml",
        "objects/15-admission/validatingwebhookconfigurations.admissionregistration.k8s.io/check-ID.yaml",
    ];
}
