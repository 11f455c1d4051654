"""The field's teams that go on deciding while they run: agents in, a policy out; a file each, none needs torch."""
