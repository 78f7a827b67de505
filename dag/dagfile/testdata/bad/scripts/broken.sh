#!/bin/sh
echo start
echo {{ ds
