"""What the template says: rights, limits, alarms, answers, and what outlives the rest."""

import fnmatch
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app import app
from chalicelib.entrypoints.schedules import JOB_SECONDS, SECONDS
from chalicelib.entrypoints.stripe_doors import SECONDS as WEBHOOK_SECONDS
from chalicelib.flows.job_lease import LEASE_MS
from chalicelib.log import NAMES
from chalicelib.settings import TABLES, tables_of
from chalicelib.stripe_adapter.client import IN_A_JOB
from deploy.place import TABLE_RESOURCES
from deploy.template import DOORS, KEPT_KINDS, Template, data_alone
from local.ministack import MINISTACK_PYTHON

pytestmark = pytest.mark.xdist_group("deployment")

FUNCTIONS = {
    "APIHandler": "api",
    "WebsiteHandler": "website",
    "WebhookHandler": "webhook",
    "MatureRewards": "mature-rewards",
    "Sweep": "sweep",
    "CountClicks": "count-clicks",
    "RunJobs": "run-jobs",
}
TRANSFORM = """
import json, sys
from samtranslator.translator.transform import transform
class NoManagedPolicies:
    def load(self): return {}
template = json.load(open(sys.argv[1]))
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "key"}
json.dump(transform(template, {}, NoManagedPolicies()), open(sys.argv[2], "w"))
"""


def of_type(template: Template, type: str) -> dict[str, Any]:
    return {name: one for name, one in template["Resources"].items() if one["Type"] == type}


class TestFunctions:
    def test_they_are_these(self, template: Template) -> None:
        assert set(of_type(template, "AWS::Serverless::Function")) == set(FUNCTIONS)

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_each_runs_on_arm64_with_its_own_memory_and_time(
        self, template: Template, name: str
    ) -> None:
        properties = template["Resources"][name]["Properties"]
        assert properties["Architectures"] == ["arm64"]
        assert properties["MemorySize"] >= 256
        assert properties["Runtime"].startswith("python3.")
        budget = {
            "WebhookHandler": WEBHOOK_SECONDS,
            "MatureRewards": SECONDS,
            "Sweep": SECONDS,
            "RunJobs": JOB_SECONDS + IN_A_JOB.budget_s,
        }
        assert properties["Timeout"] >= budget.get(name, 0) * 1.15

    def test_a_lease_outlives_the_function_that_holds_it(self, template: Template) -> None:
        assert template["Resources"]["RunJobs"]["Properties"]["Timeout"] * 1000 < LEASE_MS

    @pytest.mark.parametrize("name", ["APIHandler", "WebsiteHandler", "WebhookHandler"])
    def test_a_door_ends_before_the_gateway_gives_up(self, template: Template, name: str) -> None:
        assert template["Resources"][name]["Properties"]["Timeout"] <= 29

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_each_has_its_own_role_and_log(self, template: Template, name: str) -> None:
        properties = template["Resources"][name]["Properties"]
        assert properties["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Log"}}
        log = template["Resources"][f"{name}Log"]
        assert log["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        roles = [json.dumps(template["Resources"][one]["Properties"]["Role"]) for one in FUNCTIONS]
        assert len(set(roles)) == len(FUNCTIONS)

    def test_they_know_their_tables_and_their_key(self, template: Template) -> None:
        told = template["Globals"]["Function"]["Environment"]["Variables"]
        for resource, table in TABLE_RESOURCES.items():
            assert told[TABLES[table]] == {"Ref": resource}
            name = template["Resources"][resource]["Properties"]["TableName"]["Fn::Sub"]
            assert name.replace("${Stage}", "prod") == tables_of("prod")[table]
        assert told["REFLEDGER_KMS_KEY"] == {"Fn::GetAtt": ["SecretsKey", "Arn"]}
        for function, doors in FUNCTIONS.items():
            own = template["Resources"][function]["Properties"].get("Environment", {})
            assert own.get("Variables", {}).get("REFLEDGER_WARM") in (None, doors)

    def test_concurrency_is_kept_for_the_webhooks(self, template: Template) -> None:
        kept = template["Resources"]["WebhookHandler"]["Properties"]["ReservedConcurrentExecutions"]
        assert kept["Fn::If"][:2] == ["ReservesForWebhook", {"Ref": "WebhookConcurrency"}]
        assert template["Parameters"]["WebhookConcurrency"]["Default"] == 20
        others = set(FUNCTIONS) - {"WebhookHandler"}
        for name in others:
            assert "ReservedConcurrentExecutions" not in template["Resources"][name]["Properties"]

    def test_a_schedule_is_not_tried_again_by_lambda(self, template: Template) -> None:
        for name in ("Sweep", "MatureRewards", "RunJobs"):
            told = template["Resources"][name]["Properties"]["EventInvokeConfig"]
            assert told["MaximumRetryAttempts"] == 0

    def test_the_stream_is_the_tables_own_and_its_retries_end(self, template: Template) -> None:
        (event,) = template["Resources"]["CountClicks"]["Properties"]["Events"].values()
        told = event["Properties"]
        assert told["Stream"] == {"Fn::GetAtt": ["ClicksTable", "StreamArn"]}
        assert told["BisectBatchOnFunctionError"] is True
        assert 0 < told["MaximumRetryAttempts"] < 10_000
        assert told["MaximumRecordAgeInSeconds"] < 24 * 3600, "the stream forgets after a day"
        assert told["DestinationConfig"]["OnFailure"]["Type"] == "SQS"
        (filtered,) = told["FilterCriteria"]["Filters"]
        assert json.loads(filtered["Pattern"])["eventName"] == ["INSERT"]


class TestRoutes:
    def test_each_route_is_answered_by_its_function(self, template: Template) -> None:
        body = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
        assert set(body["paths"]) == set(app.routes)
        for path, methods in body["paths"].items():
            wanted = next(
                (name for name, begins in DOORS.items() if path.startswith(begins)), "APIHandler"
            )
            for method in methods.values():
                uri = method["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
                assert f"${{{wanted}.Arn}}" in uri, path

    @pytest.mark.parametrize("name", ["APIHandler", "WebsiteHandler", "WebhookHandler"])
    def test_the_gateway_may_call_it(self, template: Template, name: str) -> None:
        told = template["Resources"][f"{name}InvokePermission"]["Properties"]
        assert told["FunctionName"] == {"Ref": name}
        assert told["Principal"] == "apigateway.amazonaws.com"
        assert "RestAPI" in json.dumps(told["SourceArn"])

    def test_each_method_of_the_website_is_throttled_and_the_rest_besides(
        self, template: Template
    ) -> None:
        settings = template["Resources"]["RestAPI"]["Properties"]["MethodSettings"]
        throttled = {(one["ResourcePath"], one["HttpMethod"]) for one in settings}
        for path, methods in app.routes.items():
            if path.startswith(DOORS["WebsiteHandler"]):
                for method in methods:
                    assert ("/" + path.replace("/", "~1"), method) in throttled
        assert ("/*", "*") in throttled
        for one in settings:
            assert one["ThrottlingRateLimit"]["Ref"] in template["Parameters"]
            assert one["ThrottlingBurstLimit"]["Ref"] in template["Parameters"]

    def test_the_gateway_answers_in_the_envelope(self, template: Template) -> None:
        answers = template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
        assert answers["MISSING_AUTHENTICATION_TOKEN"]["StatusCode"] == 404
        assert answers["REQUEST_TOO_LARGE"]["StatusCode"] == 413
        assert answers["THROTTLED"]["StatusCode"] == 429
        assert {"DEFAULT_4XX", "DEFAULT_5XX", "INTEGRATION_TIMEOUT"} <= set(answers)
        for one in answers.values():
            text = one["ResponseTemplates"]["application/json"]
            told = json.loads(text.replace("$context.error.messageString", '"as it is"'))
            assert set(told) == {"message", "errors", "code", "status"}
            assert told["status"] == 0
            headers = one["ResponseParameters"]["Headers"]
            assert headers["Access-Control-Allow-Origin"] == "'*'"


class TestRights:
    """Who may do what. That it is enough is proven by the deployment's test, whose account holds
    each function to its policy."""

    def test_nobody_scans_puts_or_makes_tables(self, policies: dict[str, Any]) -> None:
        said = json.dumps(policies)
        for action in ("Scan", "PutItem", "CreateTable", "DeleteTable", ":*"):
            assert action not in said

    def test_only_who_takes_keys_seals_them(self, policies: dict[str, Any]) -> None:
        seals = {name for name, told in policies.items() if '"kms:Encrypt"' in json.dumps(told)}
        assert seals == {"api"}

    def test_every_right_names_what_it_is_for(self, policies: dict[str, Any]) -> None:
        for statements in policies.values():
            for statement in statements:
                wide = statement["Resource"] == "*"
                assert not wide or statement["Action"] == ["dynamodb:ListStreams"]

    def test_the_roles_carry_the_policies(
        self, template: Template, policies: dict[str, Any]
    ) -> None:
        assert set(policies) == set(FUNCTIONS.values())
        for function, policy in FUNCTIONS.items():
            role = template["Resources"][function]["Properties"]["Role"]["Fn::GetAtt"][0]
            (said,) = template["Resources"][role]["Properties"]["Policies"]
            assert said["PolicyDocument"]["Statement"] == policies[policy]
            assert "ManagedPolicyArns" not in template["Resources"][role]["Properties"]

    @pytest.mark.parametrize(
        ("policy", "tables", "opens"),
        [
            ("api", {"Clicks", "Records", "Sessions"}, ["connection/*", "platform/*/secret_key"]),
            ("website", {"Clicks", "Records"}, ["program/*"]),
            (
                "webhook",
                {"Clicks", "Inbox", "Records"},
                ["connection/*/webhook_secret", "platform/*/webhook_secret"],
            ),
            ("sweep", {"Clicks", "Inbox", "Records"}, ["connection/*/webhook_secret"]),
            ("mature-rewards", {"Records"}, []),
            ("count-clicks", {"Clicks", "Records"}, []),
            (
                "run-jobs",
                {"Clicks", "Inbox", "Records", "Sessions"},
                ["connection/*/api_key", "platform/*/secret_key"],
            ),
        ],
    )
    def test_tables_and_secrets_of_each(
        self, policies: dict[str, Any], policy: str, tables: set[str], opens: list[str]
    ) -> None:
        said = json.dumps(policies[policy])
        assert set(re.findall(r"(Clicks|Inbox|Records|Sessions)Table", said)) == tables
        opened = [one for one in policies[policy] if "kms:Decrypt" in one["Action"]]
        places: list[str] = []
        for one in opened:
            (told,) = one["Condition"].values()
            (named,) = told.values()
            places += [named] if isinstance(named, str) else named
        assert sorted(places) == opens

    def test_no_function_may_change_who_has_a_key(self, policies: dict[str, Any]) -> None:
        for statements in policies.values():
            for statement in statements:
                if "SessionsTable" not in json.dumps(statement["Resource"]):
                    continue
                if set(statement["Action"]) <= {"dynamodb:BatchGetItem", "dynamodb:GetItem"}:
                    continue
                only = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
                assert only
                assert not any(fnmatch.fnmatch("api-key#0", pattern) for pattern in only)


class TestData:
    def test_it_outlives_the_stack(self, template: Template) -> None:
        kept = [one for one in template["Resources"].values() if one["Type"] in KEPT_KINDS]
        assert len(kept) == 6
        for one in kept:
            assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == ("Retain", "Retain")

    @pytest.mark.parametrize("table", TABLE_RESOURCES)
    def test_tables_are_on_demand_recoverable_and_protected(
        self, template: Template, table: str
    ) -> None:
        told = template["Resources"][table]["Properties"]
        assert told["BillingMode"] == "PAY_PER_REQUEST"
        assert told["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert told["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
        assert (table != "RecordsTable") == ("TimeToLiveSpecification" in told)
        assert (table == "ClicksTable") == ("StreamSpecification" in told)

    def test_the_key_is_rotated(self, template: Template) -> None:
        assert template["Resources"]["SecretsKey"]["Properties"]["EnableKeyRotation"] is True
        alias = template["Resources"]["SecretsKeyAlias"]["Properties"]["AliasName"]["Fn::Sub"]
        assert alias == "alias/refledger-${Stage}"

    def test_what_stays_stands_by_itself(self, template: Template) -> None:
        alone = data_alone(template)
        assert {one["Type"] for one in alone["Resources"].values()} == set(KEPT_KINDS)
        assert alone["Parameters"] == template["Parameters"], "what was set is not forgotten"
        assert "Transform" not in alone
        for name, one in alone["Resources"].items():
            assert one == template["Resources"][name]


class TestAlarms:
    def test_each_tells_the_topic(self, template: Template) -> None:
        alarms = of_type(template, "AWS::CloudWatch::Alarm")
        for function in FUNCTIONS:
            assert {f"{function}Errors", f"{function}Throttles"} <= set(alarms)
        others = {"Bugs", "FailedEvents", "Waiting", "SweepMissed", "ServerErrors", "TroubledJobs"}
        assert {f"{name}Alarm" for name in others | {"UncountedClicks"}} <= set(alarms)
        for alarm in alarms.values():
            assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}]
            assert alarm["Properties"]["AlarmDescription"]

    def test_filters_ask_for_what_is_logged(self, template: Template) -> None:
        filters = of_type(template, "AWS::Logs::MetricFilter")
        metrics = set()
        for one in filters.values():
            pattern = one["Properties"]["FilterPattern"]
            (counted,) = one["Properties"]["MetricTransformations"]
            asked = set(re.findall(r"\$\.(\w+)", pattern + counted["MetricValue"]))
            assert asked <= NAMES | {"door", "outcome"}, pattern
            assert one["Properties"]["LogGroupName"]["Ref"] in template["Resources"]
            metrics.add(counted["MetricName"])
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
            told = alarm["Properties"]
            if told["Namespace"] == {"Fn::Sub": "Refledger/${Stage}"}:
                assert told["MetricName"] in metrics


class TestOtherTools:
    @pytest.mark.ministack
    @pytest.mark.slow
    def test_the_api_has_one_stage_after_the_transform(
        self, template: Template, tmp_path: Path
    ) -> None:
        """SAM adds one that is called Stage, without throttles, unless told the version of the
        API's description."""
        before, after = tmp_path / "before.json", tmp_path / "after.json"
        before.write_text(json.dumps(template))
        self.tool(MINISTACK_PYTHON, "-c", TRANSFORM, before, after)
        transformed = json.loads(after.read_text())
        (stage,) = of_type(transformed, "AWS::ApiGateway::Stage").values()
        assert stage["Properties"]["StageName"] == "api"
        (deployment,) = of_type(transformed, "AWS::ApiGateway::Deployment").values()
        assert "StageName" not in deployment["Properties"]

    @pytest.mark.ministack
    @pytest.mark.slow
    def test_cfn_lint_passes_before_and_after_the_transform(
        self, template: Template, tmp_path: Path
    ) -> None:
        before, after = tmp_path / "before.json", tmp_path / "after.json"
        before.write_text(json.dumps(template))
        self.tool(MINISTACK_PYTHON, "-c", TRANSFORM, before, after)
        assert "AWS::Serverless" not in after.read_text()
        alone = tmp_path / "alone.json"
        alone.write_text(json.dumps(data_alone(template)))
        lint = MINISTACK_PYTHON.with_name("cfn-lint")
        self.tool(lint, before, after)
        self.tool(lint, "--ignore-checks", "W2001", "--", alone)  # parameters kept unused

    def tool(self, *words: Any) -> None:
        ran = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={"AWS_DEFAULT_REGION": "eu-central-1", "PATH": "/usr/bin:/bin"},
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def test_no_account_and_no_region_stands_in_it(self, template: Template) -> None:
        said = json.dumps(template)
        assert not re.search(r"[a-z]{2}-[a-z]+-\d", said)
        assert not re.search(r"\b\d{12}\b", said)
        assert not fnmatch.filter([said], "*placeholder*")
