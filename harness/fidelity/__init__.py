"""One text through both models: how far apart are their next tokens?"""
