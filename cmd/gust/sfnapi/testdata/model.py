"""Prints what the installed AWS CLI knows of Step Functions: members of structures, flags of commands, listings."""
import json

from awscli.clidriver import create_clidriver

driver = create_clidriver()
service = driver.session.get_service_model("stepfunctions")
shapes = {}


def walk(shape):
    if shape.type_name == "list":
        walk(shape.member)
    if shape.type_name != "structure" or shape.name in shapes:
        return
    shapes[shape.name] = [m + "!" * (m in shape.required_members) for m in shape.members]
    for member in shape.members.values():
        walk(member)


pages = {}
paginators = driver.session.get_paginator_model("stepfunctions")
for name in service.operation_names:
    operation = service.operation_model(name)
    walk(operation.input_shape)
    walk(operation.output_shape)
    try:
        pages[name] = paginators.get_paginator(name)["result_key"]
    except ValueError:
        pass

ours = {"cli-input-json", "generate-cli-skeleton", "max-items", "page-size", "starting-token"}
commands = driver.create_help_command().command_table["stepfunctions"].create_help_command().command_table
flags = {
    name: sorted(a.cli_name for a in command.arg_table.values() if a.name not in ours and not a.name.startswith("no-"))
    for name, command in commands.items()
    if name not in ("help", "wait")
}
print(json.dumps({"Shapes": shapes, "Pages": pages, "Flags": flags}))
