"""What AssumeRole can be told, in both spellings, and what is refused before anybody is called."""

from __future__ import annotations

from typing import Any

import pytest

import rolekeeper
from rolekeeper.parameters import Parameters

ROLE = "arn:aws:iam::123456789012:role/etl"
POLICY_ARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"

SNAKE: dict[str, Any] = {
    "role_arn": ROLE,
    "role_session_name": "nightly",
    "duration_seconds": 900,
    "external_id": "customer-7",
    "policy": {"Version": "2012-10-17", "Statement": []},
    "policy_arns": [POLICY_ARN],
    "tags": {"team": "storage"},
    "transitive_tag_keys": ["team"],
    "source_identity": "alice",
    "serial_number": "arn:aws:iam::123456789012:mfa/alice",
    "provided_contexts": [{"ProviderArn": POLICY_ARN, "ContextAssertion": "assertion"}],
    "minimum_session_token_size": 4096,
}
CAMEL: dict[str, Any] = {
    "RoleArn": ROLE,
    "RoleSessionName": "nightly",
    "DurationSeconds": 900,
    "ExternalId": "customer-7",
    "Policy": '{"Version":"2012-10-17","Statement":[]}',
    "PolicyArns": [{"arn": POLICY_ARN}],
    "Tags": [{"Key": "team", "Value": "storage"}],
    "TransitiveTagKeys": ["team"],
    "SourceIdentity": "alice",
    "SerialNumber": "arn:aws:iam::123456789012:mfa/alice",
    "ProvidedContexts": [{"ProviderArn": POLICY_ARN, "ContextAssertion": "assertion"}],
    "MinimumSessionTokenSize": 4096,
}


def take(**options: Any) -> Parameters:
    parameters = Parameters.take(options)
    assert parameters is not None
    assert not options, "everything was taken"
    return parameters


def test_both_spellings_mean_the_same() -> None:
    assert take(**SNAKE) == take(assume_role_kwargs=CAMEL)


def test_boto3_is_asked_in_its_own_terms() -> None:
    assert take(**SNAKE).request() == CAMEL


def test_what_is_not_given_is_not_sent() -> None:
    assert take(role_arn=ROLE).request() == {"RoleArn": ROLE}
    assert take(role_arn=ROLE, tags={}, policy_arns=[], external_id=None).request() == {
        "RoleArn": ROLE
    }


def test_every_parameter_of_boto3s_assume_role_is_known() -> None:
    import botocore.session

    client: Any = botocore.session.Session().create_client("sts", region_name="us-east-1")
    members = client.meta.service_model.operation_model("AssumeRole").input_shape.members
    # Old ones lack some.
    assert set(members) <= {*CAMEL, "TokenCode"}


def test_mfa_serial_is_another_name_for_the_serial_number() -> None:
    assert take(role_arn=ROLE, mfa_serial="123456789").serial_number == "123456789"


def test_policy_arns_and_tags_are_taken_in_either_form() -> None:
    assert take(role_arn=ROLE, policy_arns=({"arn": POLICY_ARN},)).policy_arns == (POLICY_ARN,)
    tags = [{"Key": "team", "Value": "storage"}]
    assert take(role_arn=ROLE, tags=tags).tags == (("team", "storage"),)


@pytest.mark.parametrize("name", sorted(set(SNAKE) - {"serial_number"}))
def test_the_same_thing_said_twice_is_refused(name: str) -> None:
    camel = "".join(word.capitalize() for word in name.split("_"))
    with pytest.raises(rolekeeper.ConfigurationError, match=f"{camel}.* says what {name} says too"):
        take(
            **{"role_arn": ROLE, name: SNAKE[name]},
            assume_role_kwargs={camel: CAMEL[camel]},
        )


def test_the_mfa_device_said_twice_is_refused() -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="says what serial_number says too"):
        take(role_arn=ROLE, serial_number="123456789", mfa_serial="123456789")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"role_arn": 7}, "role_arn is of type int"),
        ({"role_session_name": b"bytes"}, "role_session_name is of type bytes"),
        ({"duration_seconds": "3600"}, "duration_seconds is of type str.*900 to 43200"),
        ({"duration_seconds": 3600.0}, "duration_seconds is of type float"),
        ({"duration_seconds": True}, "duration_seconds is of type bool"),
        ({"duration_seconds": -1}, "duration_seconds is -1"),
        ({"minimum_session_token_size": "0"}, "minimum_session_token_size is of type str"),
        ({"minimum_session_token_size": 4097}, "minimum_session_token_size is 4097.*0 to 4096"),
        ({"external_id": 7}, "external_id is of type int"),
        ({"policy": []}, "policy is of type list"),
        ({"policy": {"Statement": {1, 2}}}, "policy can't be written as JSON"),
        ({"policy_arns": POLICY_ARN}, "policy_arns is of type str.*a list of ARNs"),
        ({"policy_arns": [7]}, r"policy_arns\[0\] is of type int"),
        ({"policy_arns": [{"Arn": POLICY_ARN}]}, r"policy_arns\[0\] has Arn"),
        ({"tags": "team=storage"}, "tags is of type str"),
        ({"tags": {"team": 7}}, r"tags\['team'\] is of type int"),
        ({"tags": {7: "team"}}, "a key of tags is of type int"),
        ({"tags": [{"key": "a", "value": "b"}]}, r"tags\[0\] has key, value.*Key"),
        ({"tags": [("team", "storage")]}, r"tags\[0\] is of type tuple"),
        ({"transitive_tag_keys": "team"}, "transitive_tag_keys is of type str"),
        ({"transitive_tag_keys": 7}, "transitive_tag_keys is of type int"),
        ({"provided_contexts": [{}]}, r"provided_contexts\[0\] has nothing"),
        ({"assume_role_kwargs": [("RoleArn", ROLE)]}, "assume_role_kwargs is of type list"),
        ({"assume_role_kwargs": {7: 7}}, "a name in assume_role_kwargs is of type int"),
    ],
)
def test_a_wrong_type_is_named_with_the_right_one(options: dict[str, Any], words: str) -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match=words):
        take(**{"role_arn": ROLE, **options})


def test_a_wrong_value_is_not_shown() -> None:
    with pytest.raises(rolekeeper.ConfigurationError) as caught:
        take(role_arn=ROLE, external_id=["a-secret"])
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["RoleARN", "role_arn", "rolearn"])
def test_an_unknown_name_of_boto3s_is_refused_with_the_known_one_near_it(name: str) -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match=f"'{name}' .*did you mean RoleArn"):
        take(assume_role_kwargs={name: ROLE})


def test_a_name_that_is_near_none_is_refused_with_all_of_them() -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match=r"known are .*DurationSeconds.*Tags"):
        take(assume_role_kwargs={"xyz": 1})


@pytest.mark.parametrize(
    "options", [{"token_code": "123456"}, {"assume_role_kwargs": {"TokenCode": "123456"}}]
)
def test_a_code_that_is_good_once_is_refused_with_what_to_pass_instead(
    options: dict[str, Any],
) -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="mfa_token=") as caught:
        take(role_arn=ROLE, **options)
    assert "123456" not in str(caught.value)


def test_parameters_without_a_role_are_refused() -> None:
    with pytest.raises(rolekeeper.ConfigurationError, match="external_id given, but no role"):
        Parameters.take({"external_id": "customer-7"})


def test_nothing_given_is_no_role() -> None:
    assert Parameters.take({"role_arn": None, "assume_role_kwargs": {}}) is None


def test_repr_shows_the_role_and_no_assertion() -> None:
    shown = repr(take(**SNAKE))
    assert ROLE in shown
    assert "assertion" not in shown
